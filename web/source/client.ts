/** The page's side of the worker. */

import type { Question, Questions, Request, Response } from './messages.ts';
import { Problem } from './problems.ts';

export type Report = (stage: string, progress: number) => void;

interface Waiting {
  readonly report: Report;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/** What a question ends with when the worker is ended before it. */
export class Abandoned extends Error {}

export class Client {
  private worker: Worker | undefined;
  private readonly waiting = new Map<number, Waiting>();
  private last = 0;

  /** `report` is told how far the work on a question is, unless that has a report of its own. */
  constructor(readonly report: Report) {}

  /** Asks the worker, and returns its answer. Throws a Problem, or Abandoned. */
  ask<Kind extends Question>(
    kind: Kind,
    content: Questions[Kind][0],
    transfer: Transferable[] = [],
    report = this.report,
  ): Promise<Questions[Kind][1]> {
    const request: Request<Kind> = { id: ++this.last, kind, content };
    return new Promise((resolve, reject) => {
      this.waiting.set(request.id, { resolve, reject, report });
      this.running().postMessage(request, transfer);
    });
  }

  /** Ends all work at once; the next question starts a new worker. */
  stop(error: Error = new Abandoned()): void {
    this.worker?.terminate();
    this.worker = undefined;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(error);
  }

  get isBusy(): boolean {
    return this.waiting.size > 0;
  }

  private running(): Worker {
    if (!this.worker) {
      this.worker = new Worker('worker.js', { type: 'module' });
      this.worker.addEventListener('message', ({ data }) => this.take(data));
      this.worker.addEventListener('error', () => this.stop(broken('it ended')));
    }
    return this.worker;
  }

  private take(response: Response): void {
    const waiting = this.waiting.get(response.id);
    if (!waiting) return;
    if ('progress' in response) {
      waiting.report(response.stage, response.progress);
      return;
    }
    this.waiting.delete(response.id);
    if ('answer' in response) {
      waiting.resolve(response.answer as never);
      return;
    }
    const { kind, message } = response.problem;
    waiting.reject(kind ? new Problem(kind, message) : broken(message));
    // What is left in the worker's memory is not to be relied on.
    if (!kind || kind === 'Memory') this.stop();
  }
}

const broken = (message: string): Problem =>
  new Problem('Memory', `the browser could not do this, perhaps for want of memory: ${message}`);
