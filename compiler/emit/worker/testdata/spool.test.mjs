// The spool over days of simulated time, by plain import.
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { answers } from "./support.mjs";
import { World } from "./world.mjs";

const { default: worker } = await import(`${process.env.WORKER_DIR}/worker.mjs`);
const { backoff } = await import(`${process.env.WORKER_DIR}/spool.mjs`);
console.log = () => {};
console.error = () => {};
afterEach(() => mock.timers.reset());

const numbers = (n) => Array.from({ length: n }, (_, i) => String(i).padStart(5, "0"));
const bodies = (world) => world.delivered.map((one) => one.body);

/** Sends one message every so many days, whatever the ingest says. */
async function stream(world, names, every) {
  for (const name of names) {
    assert.ok(await world.send(name), `${name} was not taken over`);
    await world.until(world.day + every);
  }
}

test("an outage of eleven days: everything kept, drained in order, once, nobody dead", async () => {
  const world = new World(worker);
  world.away = () => world.day < 11 && answers.page(530)();
  const names = numbers(120);
  await stream(world, names, 10.9 / 120);
  assert.equal(world.delivered.length, 0);
  assert.equal(world.keys("mail/").length, 120);
  assert.equal(world.mail.most, 3, "requests to a silent ingest in one call: two messages and a question");
  await world.until(13);
  assert.deepEqual(bodies(world), names);
  assert.deepEqual([world.keys("").length, world.alarms.length, world.mail.entries.length], [0, 0, 0]);
  const last = (world.delivered.at(-1).day - 11) * 24 * 60;
  assert.ok(last < 60, `drained ${last.toFixed(0)} minutes after the host came back`);
  console.info(`120 messages, drained ${last.toFixed(0)} minutes after the host came back, ${world.calls} requests to it`);
});

test("after a long outage the first new message brings the waiting ones", async () => {
  const world = new World(worker);
  world.away = () => world.day < 5 && answers.page(530)();
  await stream(world, ["first", "second"], 0.001);
  await world.until(5.0001);
  assert.deepEqual(bodies(world), []);
  assert.ok(await world.send("new"));
  await world.until(5.0002);
  assert.deepEqual(bodies(world), ["new", "first", "second"]);
});

test("with more than one page of the bucket's list, too", async () => {
  const world = new World(worker, { page: 20 });
  world.away = () => world.day < 2 && Promise.reject(new Error("connection lost"));
  const names = numbers(150);
  await stream(world, names, 0.01);
  await world.until(1.99);
  assert.equal(world.mail.entries.length, 150, "each message keeps its pointer");
  await world.until(3);
  assert.deepEqual(bodies(world), names);
  assert.equal(world.mail.entries.length, 0);
});

test("what stays hopeless becomes a dead letter with an alarm, and holds nobody up", async () => {
  const world = new World(worker);
  const full = "bob@example.com";
  world.away = () => world.day < 1 && answers.page(502)();
  world.ingest = (one) => (one.to === full ? answers.deferred() : answers.delivered());
  for (const name of numbers(60)) {
    assert.ok(await world.send(name, Number(name) < 20 ? full : "alice@example.com"));
    await world.until(world.day + 0.01);
  }
  await world.until(1.5);
  assert.deepEqual(bodies(world), numbers(60).slice(20), "the others were delivered, in order");
  await world.until(11.9);
  assert.equal(world.alarms.length, 0, "patience ended early");
  await world.until(14);
  assert.equal(world.keys("mail/").length, 0);
  assert.equal(world.keys("dead/").length, 20);
  assert.deepEqual(world.alarms.map((letter) => letter.key).sort(), world.keys("dead/"));
});

test("refused after it was kept: a dead letter at once, told about", async () => {
  const world = new World(worker);
  world.ingest = () => (world.day < 0.5 ? answers.deferred() : answers.refused());
  assert.ok(await world.send("virus"));
  await world.until(1);
  assert.equal(world.keys("dead/").length, 1);
  assert.match(world.alarms[0].reason, /5\.7\.1 contains a virus/);
  assert.equal(world.objects.get(world.keys("dead/")[0]).customMetadata.reason, "5.7.1 contains a virus");
});

test("whole turns that are put off hold nobody up, though each call comes into a new isolate", async () => {
  let calls = 0;
  const forgetful = {
    email: worker.email,
    queue: async ({ queue, messages }, env) => {
      const { alarm, drain } = await import(`${process.env.WORKER_DIR}/spool.mjs?${calls++}`);
      await (queue === env.DEAD_NAME ? alarm : drain)(messages, env);
    },
  };
  for (const page of [1000, 7]) {
    const world = new World(forgetful, { page });
    const full = "bob@example.com";
    let tries = 0;
    world.away = () => world.day < 1 && answers.page(502)();
    world.ingest = ({ to }) => (to === full && world.day < 2.5 ? (tries++, answers.deferred()) : answers.delivered());
    for (const name of numbers(40)) {
      assert.ok(await world.send(name, Number(name) < 20 ? full : "alice@example.com"));
      await world.until(world.day + 0.01);
    }
    await world.until(1.5);
    assert.deepEqual(bodies(world).sort(), numbers(40).slice(20), `page ${page}`);
    tries = 0;
    await world.until(2.5);
    const pointers = new Set(world.mail.entries.map((entry) => entry.body.key));
    assert.ok(world.keys("mail/").every((key) => pointers.has(key)), "each that was put off keeps its pointer");
    const retries = (page === 7 ? 40 : 20) * (86_400 / 11_667); // behind a full page, pointers of what was delivered stay
    assert.ok(tries < 10 * retries, `${tries} tries for ${retries.toFixed(0)} retries`);
    if (page === 1000) assert.equal(world.told.at(-1).waiting, 20);
    await world.until(3);
    assert.deepEqual([world.delivered.length, world.keys("").length, world.mail.entries.length], [40, 0, 0]);
    assert.equal(world.told.at(-1).waiting, 0);
    mock.timers.reset();
  }
});

test("a message that silences the ingest does not hold the others up", async () => {
  const world = new World(worker);
  let tries = 0;
  world.away = () => world.day < 1 && Promise.reject(new Error("timed out"));
  world.ingest = (one) => {
    if (one.body !== "00000") return answers.delivered();
    tries += world.delivered.length === 49 ? 0 : 1;
    return Promise.reject(new Error("timed out"));
  };
  await stream(world, numbers(50), 0.01);
  await world.until(1.05);
  assert.deepEqual(bodies(world), numbers(50).slice(1));
  assert.ok(tries <= 2, `it was tried ${tries} times while others waited`);
});

test("two messages in a row that silence the ingest hold nobody up, and the host learns of them", async () => {
  const world = new World(worker);
  world.away = () => world.day < 1 && answers.page(502)();
  world.ingest = ({ body }) => (Number(body) < 2 ? Promise.reject(new Error("timed out")) : answers.delivered());
  await stream(world, numbers(20), 0.01);
  await world.until(1.2);
  assert.deepEqual(bodies(world), numbers(20).slice(2));
  await world.until(11.9);
  assert.deepEqual([world.told.at(-1).waiting, world.alarms.length], [2, 0]);
  await world.until(14);
  assert.equal(world.alarms.length, 2);
});

test("the host is told of a message that silences it and waits alone", async () => {
  const world = new World(worker);
  world.ingest = () => Promise.reject(new Error("timed out"));
  assert.ok(await world.send("endless"));
  await world.until(0.5);
  assert.equal(world.told.at(-1)?.waiting, 1);
  assert.ok(world.mail.most <= 2, "requests in one call");
});

test("a message that was put off comes again on its own schedule", async () => {
  const world = new World(worker);
  const minutes = [];
  world.ingest = () => {
    minutes.push(Math.round(world.day * 24 * 60));
    return answers.deferred();
  };
  assert.ok(await world.send("later"));
  await world.until(0.1);
  assert.deepEqual(minutes, [0, 1, 2, 4, 8, 16, 32, 64, 128]);
});

test("an operator revives a dead letter", async () => {
  const world = new World(worker, { maxRetries: 2 });
  world.ingest = () => (world.day < 3 ? answers.deferred() : answers.delivered());
  assert.ok(await world.send("late"));
  await world.until(2.9);
  const [key] = world.keys("dead/");
  await world.until(3);
  world.mail.add({ key });
  await world.until(3.1);
  assert.deepEqual(bodies(world), ["late"]);
  assert.equal(world.keys("").length, 0);
});

test("a revived message whose retries run out is a dead letter again", async () => {
  const world = new World(worker, { maxRetries: 2 });
  world.ingest = answers.deferred;
  assert.ok(await world.send("hopeless"));
  await world.until(1);
  const [key] = world.keys("dead/");
  world.mail.add({ key });
  await world.until(1.0001);
  assert.deepEqual(world.keys("dead/"), [], "it was not revived");
  await world.until(2);
  assert.deepEqual(world.keys(""), [key]);
  assert.deepEqual(world.alarms.map((letter) => letter.key), [key, key]);
  assert.deepEqual([world.told.at(-1).waiting, world.told.at(-1).dead], [0, 1]);
});

test("an alarm that is not heard is raised again", async () => {
  const world = new World(worker, { maxRetries: 1 });
  world.ingest = answers.deferred;
  world.webhook = () => new Response("", { status: world.day < 0.2 ? 500 : 200 });
  assert.ok(await world.send("hopeless"));
  world.dead.maxRetries = 1000;
  await world.until(1);
  assert.equal(world.alarms.length, 1);
});

test("the host is told how many wait, since when, and how many are dead", async () => {
  const world = new World(worker);
  const full = "bob@example.com";
  world.away = () => world.day < 1 && answers.page(502)();
  world.ingest = (one) => (one.to === full ? answers.deferred() : answers.delivered());
  for (const name of numbers(40)) await world.send(name, Number(name) === 7 ? full : "alice@example.com");
  const came = new Date().toISOString();
  await world.until(1);
  assert.deepEqual(world.told, [], "nobody is there to be told");
  await world.until(2);
  const { waiting, oldest, dead } = world.told.at(-1);
  assert.deepEqual([waiting, dead], [1, 0]);
  assert.ok(oldest <= came && Date.parse(oldest) > Date.parse(came) - 1000, oldest);
  await world.until(14);
  assert.deepEqual([world.told.at(-1).waiting, world.told.at(-1).dead, world.told.at(-1).oldest], [0, 1, undefined]);
  assert.equal(world.mail.entries.length, 0);
});

test("a host that takes no note is told again when nothing waits any more, and not for ever", async () => {
  const world = new World(worker);
  world.away = () => world.day < 0.1 && answers.page(502)();
  world.report = () => new Response(null, { status: world.day < 3 ? 415 : 204 });
  await stream(world, numbers(20), 0.001);
  await world.until(2.9);
  assert.equal(world.delivered.length, 20);
  assert.equal(world.mail.entries.length, 1, "pointers that stay");
  await world.until(4);
  assert.deepEqual([world.told.at(-1).waiting, world.mail.entries.length], [0, 0]);
  world.report = () => new Response(null, { status: 415 });
  world.away = () => world.day < 5 && answers.page(502)();
  await stream(world, numbers(1), 1);
  await world.until(30);
  assert.deepEqual([world.mail.entries.length, world.alarms.length], [0, 0]);
});

test("the bucket is listed as often for one message as for many", async () => {
  const world = new World(worker);
  let lists = 0;
  const { list } = world.env.SPOOL;
  world.env.SPOOL.list = (options) => (lists++, list(options));
  world.away = () => world.day < 0.5 && answers.page(502)();
  for (const name of numbers(200)) await world.send(name);
  await world.until(0.49);
  lists = 0;
  await world.until(1);
  assert.equal(world.delivered.length, 200);
  assert.ok(lists < 2 * 200, `${lists} lists for 200 messages`);
});

test("taken over means in bucket and queue, else the sender keeps it", async () => {
  for (const part of ["SPOOL", "QUEUE"]) {
    const world = new World(worker);
    world.ingest = answers.page(503);
    world.env[part] = { ...world.env[part], put: part === "SPOOL" && fail, send: fail, delete: world.env.SPOOL.delete };
    assert.equal(await world.send("x"), false, part);
    assert.equal(world.keys("").length, 0, part);
    mock.timers.reset();
  }
  async function fail() {
    throw new Error("simulated");
  }
});

test("bucket, queues and ingest fail at random: nothing that was taken over is lost", async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = new World(worker, { faults: 0.05, seed, page: 30 });
    world.away = () => (world.day < 1 || world.random() < 0.2) && answers.page(502)();
    const taken = [];
    for (const name of numbers(80)) {
      if (await world.send(name)) taken.push(name);
      await world.until(world.day + 0.02);
    }
    await world.until(14);
    const arrived = new Set(bodies(world));
    for (const key of world.keys("dead/")) arrived.add(world.objects.get(key).bytes.toString("latin1"));
    assert.deepEqual(taken.filter((name) => !arrived.has(name)), [], `seed ${seed}`);
    assert.ok(taken.length > 60, `seed ${seed}: only ${taken.length} were taken over`);
    mock.timers.reset();
  }
});

test("a refused message is told about though the queue of dead letters fails at first", async () => {
  const world = new World(worker);
  const { dead } = world;
  world.ingest = () => (world.day < 0.5 ? answers.deferred() : answers.refused());
  world.env.DEAD = {
    send: async (body) => {
      if (world.day < 1) throw new Error("simulated");
      return dead.send(body);
    },
  };
  assert.ok(await world.send("virus"));
  await world.until(2);
  assert.deepEqual(world.alarms.map((letter) => letter.key), world.keys("dead/"));
  assert.deepEqual([world.alarms.length, world.keys("mail/").length], [1, 0]);
});

test("a refused message that is not buried yet is told about, and buried later", async () => {
  const world = new World(worker);
  const { put } = world.env.SPOOL;
  world.ingest = () => (world.day < 0.5 ? answers.deferred() : answers.refused());
  world.env.SPOOL.put = async (key, ...rest) => {
    if (key.startsWith("dead/") && world.day < 0.9) throw new Error("simulated");
    return put(key, ...rest);
  };
  assert.ok(await world.send("virus"));
  await world.until(0.8);
  assert.deepEqual([world.keys("mail/").length, world.keys("dead/").length], [1, 0]);
  assert.match(world.alarms[0].reason, /contains a virus/);
  await world.until(2);
  assert.deepEqual([world.keys("mail/").length, world.keys("dead/")], [0, [world.alarms[0].key]]);
  assert.equal(world.objects.get(world.alarms[0].key).customMetadata.reason, "5.7.1 contains a virus");
});

test("an object that the bucket does not give holds nobody up, and keeps its retries", async () => {
  const world = new World(worker);
  const { get } = world.env.SPOOL;
  world.away = () => world.day < 1 && answers.page(502)();
  await stream(world, numbers(30), 0.01);
  const [bad] = world.keys("mail/");
  world.env.SPOOL.get = async (key) => {
    if (key === bad && world.day < 10) throw new Error("internal error");
    return get(key);
  };
  await world.until(1.2);
  assert.deepEqual(bodies(world), numbers(30).slice(1));
  await world.until(11);
  assert.equal(bodies(world).at(-1), "00000");
  assert.deepEqual([world.keys("").length, world.alarms.length], [0, 0]);
});

test("a bucket that is out of order for two days costs no message its patience", async () => {
  const world = new World(worker);
  const { list } = world.env.SPOOL;
  world.away = () => world.day < 1 && answers.page(502)();
  await stream(world, numbers(30), 0.01);
  world.env.SPOOL.list = async (options) => {
    if (world.day < 2.5) throw new Error("internal error");
    return list(options);
  };
  await world.until(3);
  assert.deepEqual(bodies(world), numbers(30));
  assert.deepEqual([world.keys("").length, world.alarms.length, world.mail.entries.length], [0, 0, 0]);
});

test("delays double up to the cap", () => {
  assert.deepEqual([1, 2, 3, 7, 8, 9, 100].map((n) => backoff(n, 11_667)), [60, 120, 240, 3840, 7680, 11_667, 11_667]);
});
