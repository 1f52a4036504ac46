// Choice among the galleries of the server.

import {ApiError, ask} from "./api.js";
import {make} from "./dom.js";
import {place} from "./place.js";
import {message} from "./settings.js";

/** Names of the galleries that the visitor may search; addresses without a name mean the first. @returns {Promise<string[]>} */
export async function galleryNames() {
	const {galleries} = await ask("galleries", {}, {...place, gallery: null});
	return galleries.map(({name}) => name);
}

/** Show the choice, as soon as the galleries are known. */
export async function offerGalleries() {
	if (document.querySelector(".galleries")) return;
	try {
		showChoice(await galleryNames());
	} catch (error) {
		if (!(error instanceof ApiError)) throw error; // the search shows the error
	}
}

/** Choice among galleries, at the top of the page. A photo and words are searched in the other one too. @param {string[]} names */
export function showChoice(names) {
	if (names.length < 2 || document.querySelector(".galleries")) return;
	const here = place.gallery ?? names[0];
	let byArrow = false; // arrow keys change a closed list one by one; Enter, or leaving it, is the choice then
	const choose = () => {
		const there = select.value;
		if (there === here) return;
		select.value = here; // as it is shown after coming back
		location.assign(addressOf(there, names));
	};
	const onkeydown = ({key}) => ((byArrow = key !== "Enter"), byArrow || choose());
	const onpointerdown = () => (byArrow = false);
	const onchange = () => byArrow || choose();
	const options = names.map(name => make("option", {value: name}, name));
	const select = make(
		"select.galleries",
		{"aria-label": message("catalogue"), onkeydown, onpointerdown, onchange, onblur: choose},
		...options,
	);
	select.value = here;
	document.querySelector(".mark").after(select);
}

function addressOf(name, names) {
	const here = new URLSearchParams(location.search);
	const there = new URLSearchParams();
	for (const part of ["photo", "text", "lang"]) if (here.has(part)) there.set(part, here.get(part));
	if (name !== names[0]) there.set("gallery", name);
	return `${location.pathname}?${there}`.replace(/\?$/, "");
}
