// Notice in place of results, and banner while the server cannot be reached.

import {byId, icon, make} from "./dom.js";
import {isThere} from "./api.js";
import {message} from "./settings.js";

const AGAIN_MS = 3000;
const TOLD_MS = 6000;

/** Show a notice in place of the results. @param {{title: string, text: string, actions: [string, () => void][], mark?: string}} what */
export function showNotice({title, text, actions, mark = "hanger"}) {
	const place = byId("notice");
	place.hidden = false;
	place.replaceChildren(
		icon(mark),
		make(document.body.dataset.mode === "alone" ? "h1" : "h3", title),
		make("p", text),
		make(
			"p.actions",
			...actions.map(([label, act], at) =>
				make("button", {class: at ? "button quiet" : "button main", onclick: act}, label),
			),
		),
	);
}

export function hideNotice() {
	byId("notice").hidden = true;
	byId("notice").replaceChildren();
}

let told = ""; // what happened a moment ago
let lasting = ""; // what is so until the server answers
let timer = 0;

function showBanner() {
	byId("banner").textContent = told || lasting;
	byId("banner").hidden = !(told || lasting);
}

/** Tell something in the banner, for a moment; an outage is told again after it. @param {string} text */
export function tell(text) {
	clearTimeout(timer);
	timer = setTimeout(() => ((told = ""), showBanner()), TOLD_MS);
	told = text;
	showBanner();
}

/** Banner until the server answers again. */
export class Outage {
	#timer = null;

	/** @param {() => void} over Called when the server answers again. */
	constructor(over) {
		this.over = over;
		addEventListener("online", () => this.#timer && this.#look());
		addEventListener("offline", () => this.begin());
	}

	begin() {
		if (this.#timer) return;
		lasting = message(navigator.onLine ? "no_answer_retrying" : "offline_waiting");
		showBanner();
		this.#timer = setInterval(() => this.#look(), AGAIN_MS);
	}

	end() {
		clearInterval(this.#timer);
		this.#timer = null;
		lasting = "";
		showBanner();
	}

	async #look() {
		if (!(await isThere()) || !this.#timer) return;
		this.end();
		this.over();
	}
}
