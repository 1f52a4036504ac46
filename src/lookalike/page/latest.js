// Runs one request at a time, then the last of those that came meanwhile: answers follow a moving box without a queue.

export class Latest {
	#running = null; // the AbortController of what runs
	#next = null;

	/** @param {(request: any, signal: AbortSignal) => Promise<void>} run Handles its own errors. */
	constructor(run) {
		this.run = run;
	}

	/** Run after the current request; with `instead`, abort that first. */
	ask(request, {instead = false} = {}) {
		this.#next = {request};
		if (instead) this.stop(false);
		if (!this.#running) this.#go();
	}

	/** Abort the running request, and by default the waiting one. */
	stop(all = true) {
		if (all) this.#next = null;
		this.#running?.abort();
		this.#running = null;
	}

	async #go() {
		while (this.#next && !this.#running) {
			const {request} = this.#next;
			const control = new AbortController();
			this.#next = null;
			this.#running = control;
			try {
				await this.run(request, control.signal);
			} finally {
				if (this.#running === control) this.#running = null;
			}
			if (control.signal.aborted) return; // another loop goes on
		}
	}
}
