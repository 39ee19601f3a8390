"use strict";
// Runs the npm build of solc as if it were the native program: enough for Brownie and forge,
// which ask for --version and feed standard JSON through standard input.

const fs = require("fs");
const path = require("path");

const root = path.resolve(__dirname, "..", "..");
const solc = require(path.join(root, "node_modules", "solc"));

/** Contents of an import: from the project, or from the packages beside it. */
function readImport(name) {
  for (const base of [root, path.join(root, "node_modules"), "/"]) {
    const file = path.join(base, name);
    if (fs.existsSync(file)) {
      return { contents: fs.readFileSync(file, "utf8") };
    }
  }
  return { error: `no such file: ${name}` };
}

function compile(input) {
  return solc.compile(JSON.stringify(input), { import: readImport });
}

function main() {
  if (process.argv.includes("--version")) {
    const version = solc.version().replace("Emscripten.clang", "Linux.g++");
    process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
    return;
  }
  const input = JSON.parse(fs.readFileSync(0, "utf8"));
  for (const source of Object.values(input.sources)) {
    if (source.urls) {
      source.content = fs.readFileSync(source.urls[0], "utf8");
      delete source.urls;
    }
  }
  process.stdout.write(compile(input));
}

module.exports = { compile, main, root, version: () => solc.version() };
