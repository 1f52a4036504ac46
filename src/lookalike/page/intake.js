// Input of photos: dropped, pasted, chosen, or taken by camera.

import {byId} from "./dom.js";

/**
 * Listen for photos everywhere on the page.
 * @param {{got: (file: File) => void, refused: (why: string) => void}} told `why` is the key of a text.
 */
export function listenForPhotos({got, refused}) {
	for (const name of ["choose", "photograph"]) {
		const input = byId(name);
		for (const button of document.querySelectorAll(`[data-${name}]`))
			button.addEventListener("click", () => input.click());
		input.addEventListener("change", () => {
			if (input.files[0]) got(input.files[0]);
			input.value = ""; // so that choosing the same file again is a change
		});
	}

	const here = byId("drop-here");
	const carriesFiles = event => event.dataTransfer?.types.includes("Files");
	let inside = 0; // elements entered and not yet left
	const hide = () => ((inside = 0), (here.hidden = true));
	addEventListener("dragenter", event => {
		if (!carriesFiles(event)) return;
		inside++;
		here.hidden = document.querySelector("dialog[open]") !== null;
	});
	addEventListener("dragleave", event => carriesFiles(event) && --inside <= 0 && hide());
	addEventListener("dragover", event => carriesFiles(event) && event.preventDefault());
	addEventListener("drop", event => {
		if (!event.dataTransfer) return;
		event.preventDefault(); // or the browser would leave this page to show the file
		hide();
		take(event.dataTransfer.files, "drop_a_file");
	});
	addEventListener("paste", event => {
		if (/** @type {Element} */ (event.target).closest?.("input:not([type=file]), textarea")) return;
		take(event.clipboardData.files, "paste_a_picture");
	});

	function take(files, otherwise) {
		const photo = [...files].find(file => file.type.startsWith("image/")) ?? files[0];
		if (photo) got(photo);
		else refused(otherwise);
	}
}
