import { fnv1a } from "/modules/fnv.js";

const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");

async function check({ path, length, sha256, fnv }) {
  const response = await fetch(path);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const digest = globalThis.isSecureContext
    ? hex(await crypto.subtle.digest("SHA-256", bytes)) === sha256
    : fnv1a(bytes) === fnv;
  return { path, length: bytes.length, good: response.ok && bytes.length === length && digest };
}

export const checkAll = (manifest) => Promise.all(manifest.map(check));
