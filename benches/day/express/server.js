// What one would write in a day: verify Meta's signature, remember each status, answer 200. Durable: the commit is on
// the disk before the answer. SQLite in WAL mode with synchronous=FULL syncs once a commit; the default journal syncs
// three times and is slower. PORT, DATABASE, APP_SECRET and WORKERS come from the environment.
import cluster from "node:cluster";
import { createHmac, timingSafeEqual } from "node:crypto";
import Database from "better-sqlite3";
import express from "express";

const { PORT, DATABASE, APP_SECRET, WORKERS } = process.env;

function isSigned(body, header = "") {
  const ours = Buffer.from("sha256=" + createHmac("sha256", APP_SECRET).update(body).digest("hex"));
  const theirs = Buffer.from(header);
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}

function serve() {
  const db = new Database(DATABASE, { timeout: 30_000 });
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec(`CREATE TABLE IF NOT EXISTS statuses (
    wamid TEXT, status TEXT, at INTEGER, recipient TEXT, PRIMARY KEY (wamid, status)) WITHOUT ROWID`);
  const upsert = db.prepare(`INSERT INTO statuses VALUES (?, ?, ?, ?)
    ON CONFLICT (wamid, status) DO UPDATE SET at = excluded.at`);
  const keep = db.transaction((statuses) => {
    for (const status of statuses) {
      upsert.run(status.id, status.status, Number(status.timestamp), status.recipient_id);
    }
  });

  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.post("/webhooks/:channel", express.raw({ type: "*/*", limit: "3mb" }), (request, response) => {
    if (!isSigned(request.body, request.get("x-hub-signature-256"))) {
      return response.status(401).end();
    }
    const changes = JSON.parse(request.body).entry.flatMap((entry) => entry.changes);
    keep.immediate(changes.flatMap((change) => change.value.statuses ?? []));
    response.status(200).end();
  });
  app.listen(Number(PORT), "127.0.0.1");
}

if (Number(WORKERS) > 1 && cluster.isPrimary) {
  for (let worker = 0; worker < Number(WORKERS); worker += 1) {
    cluster.fork();
  }
  // A worker must not outlive whoever started all of this.
  process.on("SIGTERM", () => process.exit(0));
} else {
  serve();
}
