// Choice among galleries.

import {ApiError, ask} from "./api.js";
import {make} from "./dom.js";
import {place} from "./place.js";
import {message} from "./settings.js";

/** Names of the galleries; the first needs no name in addresses. @returns {Promise<string[]>} */
export async function galleryNames() {
	const {galleries} = await ask("galleries", {}, {...place, gallery: null});
	return galleries.map(({name}) => name);
}

let names = null;

export async function offerGalleries() {
	try {
		showChoice((names ??= await galleryNames()));
	} catch (error) {
		if (!(error instanceof ApiError)) throw error; // the search shows it
	}
}

/** Choice at the top of the page. @param {string[]} names */
export function showChoice(names) {
	if (names.length < 2 || document.querySelector(".galleries")) return;
	const here = place.gallery ?? names[0];
	let byArrow = false; // Enter is the choice then
	const choose = () => {
		const there = select.value;
		select.value = here; // after coming back
		if (there !== here) location.assign(addressOf(there, names));
	};
	const onkeydown = ({key}) => (byArrow = key.startsWith("Arrow")) || key !== "Enter" || choose();
	const onpointerdown = () => (byArrow = false);
	const onchange = () => byArrow || choose();
	const options = names.map(name => make("option", {value: name}, name));
	const select = make(
		"select.galleries",
		{"aria-label": message("catalogue"), onkeydown, onpointerdown, onchange},
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
