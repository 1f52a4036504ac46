// The visitor's key: asked for once, kept in this browser, and sent in a header; never in an address.

import {photoTicket} from "./component/client.js";
import {byId, make} from "./dom.js";
import {place} from "./place.js";
import {message} from "./settings.js";

const NAME = "lookalike-key";
const KEY = /^[\x21-\x7e]{1,200}$/; // what a header can hold

/** Storage of the window, which forgets when that is closed, or of the browser; null where there is none. @param {boolean} isLasting */
function storage(isLasting) {
	try {
		return isLasting ? localStorage : sessionStorage;
	} catch {
		return null;
	}
}

/** Key of an earlier visit, or null. */
export const storedKey = () => storage(false)?.getItem(NAME) ?? storage(true)?.getItem(NAME) ?? null;

function forget() {
	for (const isLasting of [false, true]) storage(isLasting)?.removeItem(NAME);
}

const RENEW_MS = 600_000; // a new ticket is asked for only if the last one is about to end
let isLasting = false;

/** Ask the visitor for a key. @param {string} why Why the last one is not taken. @returns {Promise<string>} */
export function askForKey(why) {
	forget();
	document.body.dataset.mode = "key";
	byId("start").hidden = byId("search").hidden = true;
	byId("key")?.remove();
	const told = make("p.key-problem", {id: "key-problem", role: "alert"}, why);
	const field = make("input", {
		type: "password",
		id: "key-field",
		autocomplete: "current-password",
		required: true,
		maxlength: 200,
		"aria-describedby": "key-problem",
		"aria-invalid": String(Boolean(why)),
	});
	const keep = make("input", {type: "checkbox"});
	keep.checked = isLasting;
	return new Promise(resolve => {
		const onsubmit = event => {
			event.preventDefault();
			const key = field.value.trim();
			if (!KEY.test(key)) {
				told.textContent = message("key_unknown");
				field.setAttribute("aria-invalid", "true");
				return field.focus();
			}
			isLasting = keep.checked;
			resolve(key);
		};
		const form = make(
			"form",
			{onsubmit},
			make("h1", {id: "key-title"}, message("key_needed")),
			make("p.hint", message("key_needed_text")),
			make("label", {for: "key-field"}, message("key_name")),
			field,
			told,
			make("label.key-keep", keep, message("key_keep")),
			make("button.button.main", {type: "submit"}, message("go_on")),
		);
		byId("start").before(make("section.key", {id: "key", "aria-labelledby": "key-title"}, form));
		field.focus();
	});
}

/** Keep the key, which the server took, and get tickets for photos with it. */
export async function acceptKey() {
	byId("key")?.remove();
	if (!storedKey()) storage(isLasting)?.setItem(NAME, place.key);
	if (!place.renew) {
		place.renew = async () => {
			if (place.key) place.ticket = await photoTicket(place, new AbortController().signal).catch(() => place.ticket); // the next search says why
		};
		setInterval(place.renew, RENEW_MS);
		document.addEventListener("visibilitychange", () => document.hidden || place.renew()); // timers sleep with the device
	}
	await place.renew();
	if (byId("key-in-use")) return;
	const leave = () => (forget(), location.reload());
	byId("start").append(
		make(
			"p.hint.key-in-use",
			{id: "key-in-use"},
			message("key_in_use"),
			" ",
			make("button.link", {onclick: leave}, message("key_forget")),
		),
	);
}
