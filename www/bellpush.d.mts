import bellpush = require('./bellpush.js');
export default bellpush;
