/**
 * Where jobs and their events are kept: one SQLite file, written ahead, so that a server that is killed loses nothing.
 * While the disk is full, what becomes of jobs is held in memory, and written as soon as there is room.
 *
 * @module
 */

import { mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { FileError } from "../../artifacts/file_error.ts";
import { type Log, noLog } from "../log.ts";
import { isOver, type Job, type JobEvent, type StoredJob } from "./job.ts";
import { openJobDatabase, replaceDatabase } from "./job_database.ts";
import { type JobQuery, JobTables } from "./job_tables.ts";
import { sqliteFault } from "./sqlite_error.ts";
import { Unwritten } from "./unwritten.ts";

/** Events that are read at once. */
const PAGE = 200;

/** Keeps jobs and their events in an SQLite file. */
export class JobStore {
  #file: string;
  #log: Log;
  #tables: JobTables | undefined;
  #unwritten = new Unwritten();
  #lastNumbers = new Map<string, number>();
  #fault: FileError | undefined;
  /** Tells the file apart from another under its name. */
  #inode: number | undefined;
  #isInPlace = true;

  /**
   * @param file The file; `:memory:` for jobs that end with the process. Where the disk has no room for it, it is opened
   * by {@linkcode JobStore.catchUp} once there is.
   * @param log Takes note of files and rows that are set aside, and of a disk that is full.
   * @throws {Error} if another server has opened it, or the system refuses.
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

  /** Whether the file could be opened. */
  get isOpen(): boolean {
    return this.#tables !== undefined;
  }

  /** Whether all that was given is in the file. */
  get isUpToDate(): boolean {
    return this.isOpen && this.#unwritten.isEmpty && this.#isInPlace;
  }

  /** Why it is not; `undefined` if it is. */
  get fault(): FileError | undefined {
    return this.isUpToDate ? undefined : this.#fault;
  }

  /** Opens the file and writes what could not be written, as far as there is room now. */
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
   * Keeps a new job.
   *
   * @throws {FileError} if it cannot be written.
   */
  insert(stored: StoredJob): void {
    this.#write((tables) => tables.insert(stored));
  }

  /**
   * Keeps that jobs begin.
   *
   * @throws {FileError} if it cannot be written.
   */
  begin(jobs: readonly Job[]): void {
    this.#write((tables) => tables.transaction(() => jobs.forEach((job) => tables.update(job))));
  }

  /** Keeps what has become of a job. */
  update(job: Job): void {
    this.#writeOrHold((tables) => tables.update(job), () => this.#unwritten.update(job));
    if (isOver(job.status)) this.#lastNumbers.delete(job.id);
  }

  /** A job. */
  get(id: string): Job | undefined {
    return this.#unwritten.job(id) ?? this.#open().get(id);
  }

  /** Jobs, the newest first. */
  list(query: JobQuery): Job[] {
    return this.#open().list(query, this.#unwritten.changed);
  }

  /** Jobs that have not ended, the oldest first. */
  unfinished(): StoredJob[] {
    return this.#open().unfinished();
  }

  /** Keeps an event. A preview takes the place of the one before it. */
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

  /** Gives a job all events that another has had. */
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

  /** Events of a job after a number, in order, as many as are read at once. */
  events(id: string, after: number): JobEvent[] {
    const written = this.#open().events(id, after, PAGE);
    return written.length === PAGE ? written : [...written, ...this.#unwritten.events(id, after)];
  }

  /** Forgets the previews of a job. */
  forgetPreviews(id: string): void {
    this.#writeOrHold((tables) => tables.forgetPreviews(id), () => this.#unwritten.forgetPreviews(id));
  }

  /** Forgets the oldest jobs that have ended, but for so many. Without room they are forgotten later. */
  prune(kept: number): void {
    try {
      this.#write((tables) => tables.transaction(() => tables.prune(kept)));
    } catch {
      // The next run tries again.
    }
  }

  /** Writes what could not be written, and closes the file. */
  close(): void {
    if (this.#tables) this.catchUp();
    this.#tables?.close();
  }

  #openFile(): JobTables {
    const tables = new JobTables(openJobDatabase(this.#file, this.#log), this.#log);
    this.#inode = inodeOf(this.#file);
    return tables;
  }

  /** Writes the file anew after somebody has removed it, with the store or alone: SQLite still has all of it. */
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
    // SQLite notices that its file was moved, and leaves the journal alone that stands under its name now.
    tables.close();
    this.#isInPlace = true;
    const reason = "The file was removed while the server ran: its jobs are written anew, artifacts are lost";
    this.#log("jobs_moved_back", { file: this.#file, reason });
    return moved;
  }

  #open(): JobTables {
    if (this.#tables) return this.#tables;
    throw this.#fault ?? new FileError("read", this.#file, "");
  }

  /** Writes now, after all that could not be written before, or throws. */
  #write(work: (tables: JobTables) => void): void {
    this.catchUp();
    if (this.fault) throw this.fault;
    try {
      work(this.#open());
    } catch (error) {
      throw sqliteFault(error, this.#file);
    }
  }

  /** Writes now, or holds what is to be written: never before what is held already. */
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

  /** The number of a job's last event. It is known without a look at the disk, which may not answer. */
  #lastNumber(id: string): number {
    const known = this.#lastNumbers.get(id);
    if (known !== undefined) return known;
    try {
      return this.#open().lastNumber(id);
    } catch {
      return 0;
    }
  }

  /** Takes note of why nothing can be written; logged once, until it can again. */
  #note(error: unknown): void {
    const fault = sqliteFault(error, this.#file);
    if (this.#fault?.message !== fault.message) {
      this.#log("jobs_not_written", { file: this.#file, reason: fault.message });
    }
    this.#fault = fault;
  }
}

/** Tells files of one name apart; `undefined` where there is none, or where the system does not number files. */
function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino || undefined;
}
