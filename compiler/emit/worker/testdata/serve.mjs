// Runs the script for tests in Go until standard input ends: prints the driver's address, and for each line
// it reads, a prefix, the subjects of the messages in the bucket below it.
import { createInterface } from "node:readline";
import { runtime } from "./runtime.mjs";

const options = JSON.parse(process.env.OPTIONS);
const one = runtime(options);
console.log(String(await one.ready));

for await (const prefix of createInterface({ input: process.stdin })) console.log(JSON.stringify(await subjects(prefix)));
await one.dispose();

async function subjects(prefix) {
  const bucket = await one.getR2Bucket("SPOOL", "mail");
  const found = [];
  for (let cursor; ; ) {
    const page = await bucket.list({ prefix, cursor });
    for (const { key } of page.objects) {
      const object = await bucket.get(key);
      if (object) found.push(/^Subject: (.*?)\r?$/m.exec(await object.text())?.[1] ?? "");
    }
    if (!page.truncated) return found;
    cursor = page.cursor;
  }
}
