// An isolate has 128 MB and works on several messages at once, each up to 25 MiB. Those that must be whole
// in memory wait for room, a while, and are then left to the sender.

const ROOM = 64 << 20; // bytes; the rest is for the runtime and what it copies
const PATIENCE_MS = 15_000;
const PAUSE_MS = 50;

let held = 0;

/** Waits until bytes fit, and returns the function that gives them back. */
export async function reserve(bytes) {
  const until = Date.now() + PATIENCE_MS;
  while (held > 0 && held + bytes > ROOM) {
    if (Date.now() > until) throw new Error("too many large messages at once, try again");
    // Polled: a promise that another message's event resolves would tie the two events together.
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  held += bytes;
  return () => {
    held -= bytes;
  };
}
