/*
 * es3.js FILE… - is it ECMAScript 3?  acorn parses it as such; what acorn lets pass are reserved words as
 * names of properties, which engines before ECMAScript 5 refuse.
 */
var acorn = require('acorn'), walk = require('acorn-walk'), fs = require('fs'), wrong = 0;

var reserved = new RegExp('^(' + ('abstract boolean break byte case catch char class const continue debugger default ' +
    'delete do double else enum export extends false final finally float for function goto if implements import in ' +
    'instanceof int interface long native new null package private protected public return short static super ' +
    'switch synchronized this throw throws transient true try typeof var void volatile while with').split(' ').join('|') + ')$');

process.argv.slice(2).forEach(function (file) {
    function say(node, what) {
        console.log(file + ':' + node.loc.start.line + ': ' + what);
        wrong = 1;
    }
    var tree;
    try {
        tree = acorn.parse(fs.readFileSync(file, 'utf8'), { ecmaVersion: 3, locations: true });
    } catch (e) {
        console.log(file + ': ' + e.message);
        wrong = 1;
        return;
    }
    walk.full(tree, function (node) {
        if (node.type === 'MemberExpression' && !node.computed && reserved.test(node.property.name)) { say(node, node.property.name); }
        if (node.type === 'Property' && node.key.type === 'Identifier' && reserved.test(node.key.name)) { say(node, node.key.name); }
        if (node.type === 'Property' && node.kind !== 'init') { say(node, 'an accessor'); }
        if (node.type === 'Identifier' && reserved.test(node.name)) { say(node, node.name); }
    });
});
process.exit(wrong);
