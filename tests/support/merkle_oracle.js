// Prints roots and proofs of trees over [0..count) (one uint256 per leaf) as the npm package
// computes them: node tests/support/merkle_oracle.js 1 2 3
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const bare = (hex) => hex.replace(/^0x/, "");
const trees = process.argv.slice(2).map((argument) => {
  const count = Number(argument);
  const values = Array.from({ length: count }, (_, number) => [String(number)]);
  const tree = StandardMerkleTree.of(values, ["uint256"]);
  return {
    count,
    root: bare(tree.root),
    proofs: values.map((_, index) => tree.getProof(index).map(bare)),
  };
});
process.stdout.write(JSON.stringify(trees));
