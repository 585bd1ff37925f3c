// Takes from the language what no script needs, by the lines of the table of what stays. What a new engine brings is gone until
// somebody writes it there.
(function (lines) {
"use strict";
const { deleteProperty, getPrototypeOf, ownKeys } = Reflect;
const above = (object, steps) => steps ? above(getPrototypeOf(object), steps - 1) : object;
const hidden = {
  "global": globalThis,
  "(iterator)": above([][Symbol.iterator](), 2),
  "(async iterator)": above(async function* () {}.prototype, 2),
};
// All of them, before anything is taken away.
const objects = lines.map(line => {
  const [path, names] = line.split(":");
  // Every function and class has these.
  const kept = { __proto__: null, length: true, name: true, prototype: true, constructor: true };
  for (const name of names.split(" ")) kept[name] = true;
  return [hidden[path] || path.split(".").reduce((object, part) => object[part], globalThis), kept];
});
for (const [object, kept] of objects)
  for (const key of ownKeys(object)) {
    const name = typeof key == "symbol" ? "@@" + key.description.slice(7) : key;
    if (!kept[name] && !deleteProperty(object, key)) throw new Error(name + " stays");
  }
})
