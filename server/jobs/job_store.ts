/**
 * Stores jobs and their events in one SQLite file with a write-ahead log, so that no data is lost if the
 * server is killed. While the disk is full, changes stay in memory. They are written as soon as there is
 * space.
 *
 * @module
 */

import { mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { FileError } from "../../disk/file_error.ts";
import { type Log, noLog } from "../log.ts";
import { isOver, type Job, type JobEvent, type StoredJob } from "./job.ts";
import { openJobDatabase, replaceDatabase } from "./job_database.ts";
import { type JobPage, type JobQuery, JobTables } from "./job_tables.ts";
import { sqliteFault } from "./sqlite_error.ts";
import { UnwrittenChanges } from "./unwritten_changes.ts";
import type { DueWebhook } from "./webhook_table.ts";

/** Number of events read at once. */
const PAGE = 200;

/** Stores jobs and their events in an SQLite file. */
export class JobStore {
  #file: string;
  #log: Log;
  #tables: JobTables | undefined;
  #unwritten = new UnwrittenChanges();
  #lastNumbers = new Map<string, number>();
  #fault: FileError | undefined;
  /** Distinguishes the file from a later one with the same name. */
  #inode: number | undefined;
  #isInPlace = true;

  /**
   * @param file The file; `:memory:` for jobs that end with the process. If the disk is full,
   * {@linkcode JobStore.catchUp} opens it later.
   * @param log Receives an entry for each file or row that is set aside, and when writing fails or works
   * again.
   * @throws {Error} if another server has opened it, or the system refuses access.
   */
  constructor(file: string, log: Log = noLog) {
    this.#file = file;
    this.#log = log;
    try {
      this.#tables = this.#openFile();
    } catch (error) {
      if (!(error instanceof FileError) || !error.isFull) throw error;
      this.#note(error);
    }
  }

  /** Whether the file is open. */
  get isOpen(): boolean {
    return this.#tables !== undefined;
  }

  /** Whether the file contains all changes. */
  get isUpToDate(): boolean {
    return this.isOpen && this.#unwritten.isEmpty && this.#isInPlace;
  }

  /** The reason why the file lacks changes; `undefined` if it lacks none. */
  get fault(): FileError | undefined {
    return this.isUpToDate ? undefined : this.#fault;
  }

  /** Tries to open the file and to write the changes that it lacks. */
  catchUp(): void {
    this.#isInPlace = this.#inode === undefined || inodeOf(this.#file) === this.#inode;
    if (this.isUpToDate) return;
    try {
      this.#tables = this.#isInPlace ? this.#tables ?? this.#openFile() : this.#moveBack(this.#open());
      this.#unwritten.write(this.#tables);
      this.#fault = undefined;
      this.#log("jobs_written_again", { file: this.#file });
    } catch (error) {
      this.#note(error);
    }
  }

  /**
   * Adds a job.
   *
   * @throws {FileError} if the job cannot be written.
   */
  insert(stored: StoredJob): void {
    this.#write((tables) => tables.transaction(() => tables.insert(stored)));
  }

  /**
   * Records that jobs start.
   *
   * @throws {FileError} if the record cannot be written.
   */
  begin(jobs: readonly Job[]): void {
    this.#write((tables) => tables.transaction(() => jobs.forEach((job) => tables.update(job))));
  }

  /** Records the state of a job. */
  update(job: Job): void {
    this.#writeOrHold((tables) => tables.update(job), () => this.#unwritten.update(job));
    if (isOver(job.status)) this.#lastNumbers.delete(job.id);
  }

  /**
   * Records whether a job is starred.
   *
   * @throws {FileError} if the record cannot be written.
   */
  star(job: Job): void {
    this.#write((tables) => tables.update(job));
  }

  /** Returns the number of starred jobs. */
  starredCount(): number {
    return this.#open().starredCount();
  }

  /** Returns the ids of the artifacts that starred jobs made. */
  starredArtifacts(): string[] {
    return this.#open().starredArtifacts();
  }

  /** Returns webhooks that are due at a time in seconds since 1970, up to a limit. */
  dueWebhooks(now: number, limit: number): DueWebhook[] {
    return this.#open().webhooks.due(now, limit);
  }

  /** Postpones the webhook of a job. If the disk is full, the webhook stays due and is sent again. */
  postponeWebhook(job: string, attempts: number, due: number): void {
    this.#try((tables) => tables.webhooks.postpone(job, attempts, due));
  }

  /** Removes the webhook of a job. If the disk is full, the webhook stays due and is sent again. */
  forgetWebhook(job: string): void {
    this.#try((tables) => tables.webhooks.remove(job));
  }

  /** Returns a job, or undefined if there is none. */
  get(id: string): Job | undefined {
    return this.#unwritten.job(id) ?? this.#open().get(id);
  }

  /** Lists jobs, the newest first. */
  list(query: JobQuery): JobPage {
    return this.#open().list(query, this.#unwritten.changed);
  }

  /** Returns the unfinished jobs, the oldest first. */
  unfinished(): StoredJob[] {
    return this.#open().unfinished();
  }

  /** Returns the snapshots of an unfinished job's nodes, by node id: ids of artifacts. */
  snapshots(id: string): Map<string, string> {
    return this.#open().snapshots(id);
  }

  /** Adds an event. A preview replaces the one before it. */
  addEvent(id: string, type: string, data: string): void {
    const event = { number: this.#lastNumber(id) + 1, type, data };
    this.#lastNumbers.set(id, event.number);
    this.#writeOrHold(
      (tables) => {
        if (type !== "preview") return tables.addEvent(id, event);
        tables.transaction(() => {
          tables.forgetPreviews(id);
          tables.addEvent(id, event);
        });
      },
      () => this.#unwritten.addEvent(id, event),
    );
  }

  /** Copies all events of a job to another job. */
  copyEvents(from: string, to: string): void {
    for (let last = 0;;) {
      const events = this.events(from, last);
      if (events.length === 0) return;
      for (const { number, type, data } of events) {
        last = number;
        this.addEvent(to, type, data);
      }
    }
  }

  /** Returns the events of a job after a number, in order, and at most one page of them. */
  events(id: string, after: number): JobEvent[] {
    const written = this.#open().events(id, after, PAGE);
    return written.length === PAGE ? written : [...written, ...this.#unwritten.events(id, after)];
  }

  /** Removes the previews of a job. */
  forgetPreviews(id: string): void {
    this.#writeOrHold((tables) => tables.forgetPreviews(id), () => this.#unwritten.forgetPreviews(id));
  }

  /**
   * Removes a job and its events.
   *
   * @throws {FileError} if the job cannot be removed.
   */
  remove(id: string): void {
    this.#write((tables) => tables.transaction(() => tables.remove(id)));
  }

  /**
   * Removes the oldest finished jobs beyond a number, except starred ones. If that fails, a later call
   * removes them.
   */
  prune(kept: number): void {
    // The end of the next run calls this again.
    this.#try((tables) => tables.transaction(() => tables.prune(kept)));
  }

  /** Writes the outstanding changes, and closes the file. */
  close(): void {
    if (this.#tables) this.catchUp();
    this.#tables?.close();
  }

  #openFile(): JobTables {
    const tables = new JobTables(openJobDatabase(this.#file, this.#log), this.#log);
    this.#inode = inodeOf(this.#file);
    return tables;
  }

  /** Restores the file after its removal. SQLite still has the removed file open, so no data is lost. */
  #moveBack(tables: JobTables): JobTables {
    const copy = `${this.#file}.${crypto.randomUUID()}`;
    mkdirSync(dirname(this.#file), { recursive: true });
    try {
      tables.copyTo(copy);
      replaceDatabase(this.#file, copy, this.#log);
    } finally {
      rmSync(copy, { force: true });
    }
    const moved = this.#openFile();
    // SQLite detects that its file was removed, and does not delete the new file's log of the same name.
    tables.close();
    this.#isInPlace = true;
    const reason =
      "The file was removed while the server was running. The server has written it again, but removed artifacts are lost";
    this.#log("jobs_moved_back", { file: this.#file, reason });
    return moved;
  }

  #open(): JobTables {
    if (this.#tables) return this.#tables;
    throw this.#fault ?? new FileError("read", this.#file, "");
  }

  /** Tries to write; if that fails, a later call has to. */
  #try(work: (tables: JobTables) => void): void {
    try {
      this.#write(work);
    } catch {
      // The methods that write changes of jobs record the fault.
    }
  }

  /** Writes after all earlier changes, or throws. */
  #write(work: (tables: JobTables) => void): void {
    this.catchUp();
    if (this.fault) throw this.fault;
    try {
      work(this.#open());
    } catch (error) {
      throw sqliteFault(error, this.#file);
    }
  }

  /** Writes, or keeps the change in memory if earlier changes are outstanding or the write fails. */
  #writeOrHold(write: (tables: JobTables) => void, hold: () => void): void {
    if (this.#unwritten.isEmpty) {
      try {
        return write(this.#open());
      } catch (error) {
        this.#note(error);
      }
    }
    hold();
  }

  /**
   * Returns the number of a job's last event. After the job's first event, this needs no disk access, which
   * can fail.
   */
  #lastNumber(id: string): number {
    const known = this.#lastNumbers.get(id);
    if (known !== undefined) return known;
    try {
      return this.#open().lastNumber(id);
    } catch {
      return 0;
    }
  }

  /** Records why writing fails, and logs each reason once. */
  #note(error: unknown): void {
    const fault = sqliteFault(error, this.#file);
    if (this.#fault?.message !== fault.message) {
      this.#log("jobs_not_written", { file: this.#file, reason: fault.message });
    }
    this.#fault = fault;
  }
}

/** Returns a file's inode number; `undefined` if there is no such file or no such number. */
function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino || undefined;
}
