// Sliders from 0 to 1.

import {make} from "./dom.js";
import {percentText} from "./labels.js";
import {language, message} from "./settings.js";

const spoken = new WeakMap(); // how the value of a slider is said

/** Slider from 0 to 1. @param {{label: string, text: (value: number) => string, moved: (value: number) => void}} told */
export function range({label, text, moved}) {
	const input = make("input", {type: "range", min: "0", max: "1", step: "0.01", "aria-label": label});
	spoken.set(input, text);
	input.addEventListener("input", () => {
		fill(input, Number(input.value));
		moved(Number(input.value));
	});
	return input;
}

/** Slider from one to the other, and the element that names them. */
export function balance(one, other, moved) {
	const lower = language === "de" ? other : other.toLowerCase(); // German nouns keep their capital
	const text = value =>
		message("balance_value", {one, other: lower, first: percentText(1 - value), second: percentText(value)});
	const input = range({label: message("balance", {one, other: lower}), text, moved});
	const name = text => make("span", {"aria-hidden": "true"}, text);
	return {input, element: make("div.slider.balance", name(one), input, name(other))};
}

/** Set a slider. */
export function fill(input, value) {
	if (Number(input.value) !== round(value)) input.value = String(round(value));
	input.style.setProperty("--filled", `${value * 100}%`);
	input.setAttribute("aria-valuetext", spoken.get(input)(value));
}

/** Value of a slider. */
export const round = value => Number(value.toFixed(2));
