"use strict";
// Runs the npm build of solc as if it were the native program: enough for Brownie, forge and slither,
// which ask for --version and feed standard JSON through standard input.
//
// A job is split by the files whose code is wanted, one thread per core, and what was compiled before is taken from
// .forge/solc, where it lies under the hash of everything it depends on.

const crypto = require("crypto");
const fs = require("fs");
const os = require("os");
const path = require("path");
const zlib = require("zlib");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

const root = path.resolve(__dirname, "..", "..");
const CACHE = path.join(root, ".forge", "solc");
const CACHE_ENTRIES_MAX = 128;
const PARTS_PER_CORE = 2; // a few, so that no core waits long for another

let loaded;
const solc = () => (loaded ??= require(path.join(root, "node_modules", "solc")));

function version() {
  return solc().version();
}

/** Compiler and its version without starting it: part of every key. */
function compilerName() {
  return fs.readFileSync(path.join(root, "node_modules", "solc", "package.json"), "utf8");
}

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

/** Sources of a job with all they import, so that a key covers everything. */
function withImports(input) {
  const sources = { ...input.sources };
  const remappings = (input.settings.remappings ?? []).map((line) => line.split("="));
  const pending = Object.keys(sources);
  while (pending.length > 0) {
    const name = pending.pop();
    for (const [, imported] of sources[name].content.matchAll(/^\s*(?:import|\}\s*from)\b[^;"']*["']([^"']+)["']/gm)) {
      let target = imported.startsWith(".") ? path.posix.join(path.posix.dirname(name), imported) : imported;
      for (const [from, to] of remappings) {
        target = target.startsWith(from) ? to + target.slice(from.length) : target;
      }
      if (!(target in sources)) {
        const { contents } = readImport(target);
        if (contents !== undefined) {
          sources[target] = { content: contents };
          pending.push(target);
        }
      }
    }
  }
  return sources;
}

const keyOf = (text) => crypto.createHash("sha256").update(compilerName()).update(text).digest("hex");

function recall(key) {
  const file = path.join(CACHE, `${key}.json.gz`);
  try {
    const text = zlib.gunzipSync(fs.readFileSync(file)).toString();
    fs.utimesSync(file, new Date(), new Date());
    return text;
  } catch {
    return undefined; // not there, or half written by a run that was stopped
  }
}

function remember(key, text) {
  fs.mkdirSync(CACHE, { recursive: true });
  const file = path.join(CACHE, `${key}.json.gz`);
  fs.writeFileSync(`${file}.${process.pid}`, zlib.gzipSync(text, { level: 1 }));
  fs.renameSync(`${file}.${process.pid}`, file);
}

/** Keep what was used last. */
function prune() {
  const age = (name) => fs.statSync(path.join(CACHE, name)).mtimeMs;
  const names = fs.existsSync(CACHE) ? fs.readdirSync(CACHE) : [];
  if (names.length > CACHE_ENTRIES_MAX) {
    const aged = names.map((name) => [age(name), name]).sort((a, b) => b[0] - a[0]);
    aged.slice(CACHE_ENTRIES_MAX).forEach(([, name]) => fs.rmSync(path.join(CACHE, name), { force: true }));
  }
}

const wantsCode = (selection) => Object.values(selection).flat().some((output) => /^(evm|ir|\*)/.test(output));

/** Outputs wanted of each file, without wildcards for files. */
function selectionsOf(input) {
  const { "*": everywhere = {}, ...selections } = input.settings.outputSelection ?? {};
  return Object.fromEntries(Object.keys(input.sources).map((name) => [name, { ...everywhere, ...selections[name] }]));
}

/** The job as several that can run beside each other: each makes the code of some of the files. */
function split(input, cores) {
  const selections = selectionsOf(input);
  const names = Object.keys(selections);
  const wanted = names.filter((name) => wantsCode(selections[name]));
  if (!input.settings.viaIR || wanted.length < 2 * cores || cores === 1) {
    return [input];
  }
  const parts = Array.from({ length: PARTS_PER_CORE * cores }, () => ({}));
  names.filter((name) => !wanted.includes(name)).forEach((name) => (parts[0][name] = selections[name]));
  wanted.sort((a, b) => input.sources[b].content.length - input.sources[a].content.length);
  wanted.forEach((name, place) => (parts[place % parts.length][name] = selections[name]));
  return parts.map((outputSelection) => ({ ...input, settings: { ...input.settings, outputSelection } }));
}

/** Outputs of the parts of a job as the output of the whole. */
function merge(outputs) {
  const whole = { ...outputs[0], contracts: {} };
  const errors = new Map();
  for (const output of outputs) {
    (output.errors ?? []).forEach((error) => errors.set(error.formattedMessage, error));
    for (const [name, contracts] of Object.entries(output.contracts ?? {})) {
      whole.contracts[name] = { ...whole.contracts[name], ...contracts };
    }
    for (const [name, source] of Object.entries(output.sources ?? {})) {
      whole.sources[name] = { ...whole.sources[name], ...source };
    }
  }
  if (errors.size > 0) {
    whole.errors = [...errors.values()];
  }
  return whole;
}

const compileHere = (text) => solc().compile(text, { import: readImport });

/** Compile texts in threads, as many at once as there are cores; `done` gets the place and the output of each. */
async function compileApart(texts, cores, done) {
  let next = 0;
  const work = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(__filename, { workerData: "solc" });
      const feed = () => (next < texts.length ? worker.postMessage([next, texts[next++]]) : worker.postMessage(null));
      worker.on("message", ([place, output]) => {
        done(place, output);
        feed();
      });
      worker.on("error", reject);
      worker.on("exit", resolve);
      feed();
    });
  await Promise.all(Array.from({ length: Math.min(cores, texts.length) }, work));
}

/** Compile standard JSON input; the output as an object. */
async function compile(input) {
  const whole = { ...input, sources: withImports(input) };
  const texts = split(whole, os.cpus().length).map((part) => JSON.stringify(part));
  const keys = texts.map(keyOf);
  const outputs = keys.map(recall);
  const missing = [...texts.keys()].filter((place) => outputs[place] === undefined);
  const keep = (i, output) => {
    outputs[missing[i]] = output;
    remember(keys[missing[i]], output);
  };
  const jobs = missing.map((place) => texts[place]);
  if (jobs.length > 1) {
    await compileApart(jobs, os.cpus().length, keep);
  } else {
    jobs.forEach((text, i) => keep(i, compileHere(text)));
  }
  prune();
  return merge(outputs.map((text) => JSON.parse(text)));
}

async function main() {
  if (process.argv.includes("--version")) {
    const name = version().replace("Emscripten.clang", "Linux.g++");
    process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${name}\n`);
    return;
  }
  const input = JSON.parse(fs.readFileSync(0, "utf8"));
  for (const source of Object.values(input.sources)) {
    if (source.urls) {
      source.content = fs.readFileSync(source.urls[0], "utf8");
      delete source.urls;
    }
  }
  process.stdout.write(JSON.stringify(await compile(input)));
}

if (!isMainThread && workerData === "solc") {
  parentPort.on("message", (job) => {
    if (job === null) {
      process.exit(0);
    }
    parentPort.postMessage([job[0], compileHere(job[1])]);
  });
}

module.exports = { compile, main, root, version };
