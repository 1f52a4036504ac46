// Weights and filters as a sheet over the page on small screens.

import {byId} from "./dom.js";

/** Whether the sheet is open. */
export const isSheetOpen = () => byId("adjust").classList.contains("open");

/** @param {boolean} open */
export function setSheet(open) {
	byId("adjust").classList.toggle("open", open);
	byId("adjust-open").setAttribute("aria-expanded", String(open));
}

/** Connect the buttons that open and close the sheet. @param {() => void} opened */
export function listenForSheet(opened) {
	byId("adjust-open").addEventListener("click", () => {
		setSheet(!isSheetOpen());
		if (!isSheetOpen()) return;
		opened();
		byId("adjust-close").focus();
		const results = byId("results"); // to see them change
		if (results.getBoundingClientRect().top > innerHeight / 4) results.scrollIntoView({behavior: "smooth"});
	});
	byId("adjust-close").addEventListener("click", () => {
		setSheet(false);
		byId("adjust-open").focus();
	});
	byId("adjust").addEventListener("keydown", event => {
		if (event.key === "Escape" && isSheetOpen()) byId("adjust-close").click();
	});
}
