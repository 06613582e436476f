import * as script from './bellpush.js';
export default script.default || globalThis.bellpush;
