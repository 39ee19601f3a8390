"use strict";
// The contracts as one job for the compiler. All who need something of them ask for the same, so that they are
// compiled once: scripts/compile-contracts, scripts/storage-layout and scripts/slither.

const fs = require("fs");
const path = require("path");
const { compile, root } = require("./launcher.js");

const CONTRACTS = {
  Committee: "contracts/reporting/Committee.sol",
  DisputeCourt: "contracts/reporting/DisputeCourt.sol",
  ERC1967Proxy: "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol",
  Epochs: "contracts/reporting/Epochs.sol",
  NodeRegistry: "contracts/staking/NodeRegistry.sol",
  Parameters: "contracts/governance/Parameters.sol",
  PremiumChannels: "contracts/payments/PremiumChannels.sol",
  QNetGovernor: "contracts/governance/QNetGovernor.sol",
  QNetTimelock: "contracts/governance/QNetTimelock.sol",
  QNetToken: "contracts/token/QNetToken.sol",
  Redeemer: "contracts/payments/Redeemer.sol",
  ReportJudge: "contracts/reporting/ReportJudge.sol",
  ReportOracle: "contracts/reporting/ReportOracle.sol",
  RewardVault: "contracts/reporting/RewardVault.sol",
  Slasher: "contracts/reporting/Slasher.sol",
  StakeHub: "contracts/staking/StakeHub.sol",
  VersionRegistry: "contracts/governance/VersionRegistry.sol",
};
const ACCEPTED = new Set(["2394"]); // transient storage: OpenZeppelin's guard clears it after each call
const SETTINGS = {
  evmVersion: "cancun",
  viaIR: true,
  optimizer: { enabled: true, runs: 200 },
  metadata: { bytecodeHash: "none" },
};

const CODE_OUTPUTS = [
  "abi",
  "metadata",
  "userdoc",
  "devdoc",
  "storageLayout",
  "evm.bytecode.object",
  "evm.bytecode.sourceMap",
  "evm.deployedBytecode.object",
  "evm.deployedBytecode.sourceMap",
  "evm.deployedBytecode.immutableReferences",
];

function readSource(name) {
  const base = name.startsWith("@") ? path.join(root, "node_modules") : root;
  return { content: fs.readFileSync(path.join(base, name), "utf8") };
}

/** Standard JSON input: code of the contracts, syntax trees of everything. */
function projectInput() {
  const names = Object.values(CONTRACTS);
  const sources = Object.fromEntries(names.map((name) => [name, readSource(name)]));
  const code = names.map((name) => [name, { "": ["ast"], "*": CODE_OUTPUTS }]);
  const outputSelection = { "*": { "": ["ast"] }, ...Object.fromEntries(code) };
  return { language: "Solidity", sources, settings: { ...SETTINGS, outputSelection } };
}

/** Compile an input; on any error or warning that is not accepted, print it and exit. */
async function compileStrictly(input) {
  const output = await compile(input);
  const problems = (output.errors ?? []).filter((entry) => !ACCEPTED.has(entry.errorCode));
  for (const problem of problems) {
    process.stderr.write(problem.formattedMessage);
  }
  if (problems.length > 0) {
    process.exit(1); // warnings are errors
  }
  return output;
}

module.exports = { CONTRACTS, SETTINGS, compileStrictly, projectInput };
