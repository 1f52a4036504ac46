// The clipboard.

import {make} from "./dom.js";

/** Copy a text to the clipboard; without a secure origin, by the older API. */
export async function copy(text, beside) {
	if (navigator.clipboard)
		return navigator.clipboard.writeText(text).then(
			() => true,
			() => false,
		);
	const field = make("textarea.unseen", {readonly: true});
	field.value = text;
	beside.append(field);
	field.select();
	const done = document.execCommand("copy");
	field.remove();
	return done;
}
