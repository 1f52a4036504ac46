// Weights and filters as a sheet over the page on small screens.

import {byId} from "./dom.js";

/** Whether the sheet is open. */
export const isSheetOpen = () => byId("adjust").classList.contains("open");

/** @param {boolean} open */
export function setSheet(open) {
	byId("adjust").classList.toggle("open", open);
	byId("adjust-open").setAttribute("aria-expanded", String(open));
}

/** Connect the buttons that open and close the sheet. @param {() => Promise<boolean>} fill Fills the sheet; false if it cannot. */
export function listenForSheet(fill) {
	byId("adjust-open").addEventListener("click", async () => {
		setSheet(!isSheetOpen());
		if (!isSheetOpen()) return;
		if (!(await fill())) return setSheet(false);
		if (!isSheetOpen()) return; // it was closed meanwhile
		byId("adjust-close").focus();
		const results = byId("results"); // to see them change
		if (results.getBoundingClientRect().top > innerHeight / 4) results.scrollIntoView({behavior: "smooth"});
	});
	byId("adjust-close").addEventListener("click", () => {
		setSheet(false);
		byId("adjust-open").focus();
	});
	for (const id of ["adjust", "adjust-open"])
		byId(id).addEventListener("keydown", event => {
			if (event.key === "Escape" && isSheetOpen()) byId("adjust-close").click();
		});
}
