// Says whether an address receives mail, from a set that does not reveal the addresses: sorted digests, each
// the first bytes of HMAC-SHA-256 over the address. The compiler writes the set and resolves addresses
// by the same rules (compiler/model, Routes); a property test holds the two together.

/**
 * @param {{width: number, accepted: string, refused: string, refusedWidth: number,
 *   domains: Object<string, {subaddress: boolean, catchAll: boolean, bounces: boolean}>}} set digests in base64, width in bytes
 * @param {string} secret the key of the digests
 * @param {string} address as it stands in RCPT TO
 */
export async function accepts(set, secret, address) {
  const at = address.lastIndexOf("@");
  const localpart = address.slice(0, at).toLowerCase();
  const domain = address.slice(at + 1).toLowerCase();
  if (at < 0 || !Object.hasOwn(set.domains, domain)) return false;
  const { subaddress, catchAll, bounces } = set.domains[domain];
  if (bounces && /^srs[01]=./.test(localpart)) return true; // the ingest knows whether it rewrote this one
  const key = await keyOf(secret);
  const plus = localpart.indexOf("+");
  const names = plus >= 0 && subaddress ? [localpart, localpart.slice(0, plus)] : [localpart];
  for (const name of names) {
    const digest = await mac(key, `${name}@${domain}`);
    if (holds(bytesOf(set, "accepted"), set.width, digest)) return true;
    // Known and yet refused (a retired user): the catch-all does not take its mail.
    if (holds(bytesOf(set, "refused"), set.refusedWidth, digest)) return false;
  }
  return catchAll;
}

const keys = new Map(); // of one secret, usually; imported once per isolate

async function keyOf(secret) {
  if (!keys.has(secret)) {
    keys.clear();
    const raw = new TextEncoder().encode(secret.trim());
    keys.set(secret, await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]));
  }
  return keys.get(secret);
}

async function mac(key, address) {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(address)));
}

const decoded = new WeakMap(); // set -> its digests as bytes

function bytesOf(set, field) {
  if (!decoded.has(set)) {
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    decoded.set(set, { accepted: bytes(set.accepted), refused: bytes(set.refused) });
  }
  return decoded.get(set)[field];
}

/** Binary search for the first width bytes of digest in sorted entries of that width. */
function holds(entries, width, digest) {
  let low = 0;
  let high = entries.length / width;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compare(entries, middle * width, width, digest);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

function compare(entries, start, width, digest) {
  for (let i = 0; i < width; i++) {
    if (entries[start + i] !== digest[i]) return entries[start + i] - digest[i];
  }
  return 0;
}
