// State of the page, which is its URL.

import {place} from "./place.js";

const LANGUAGE = new URLSearchParams(location.search).get("lang");

export const PAGE = 24;
export const MOST_SHOWN = 480;
const MOST_EXAMPLES = 8; // items to look more, or less, like
export const WHOLE = "whole";
const LITERAL = /^(?:true|false|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i;

/** @returns {import("./types.js").State} */
export const emptyState = () => ({
	item: null,
	photo: null,
	box: null,
	garment: null,
	weights: null,
	filters: new Map(),
	text: null,
	textWeight: null,
	sameKind: null,
	like: [],
	unlike: [],
	shown: PAGE,
	anyway: false,
	open: null,
});

/** Parse a URL; invalid parts are left out. @returns {import("./types.js").State} */
export function readState(search) {
	const state = emptyState();
	const filter = name => {
		if (!state.filters.has(name)) state.filters.set(name, {values: [], low: null, high: null});
		return state.filters.get(name);
	};
	for (const [key, value] of new URLSearchParams(search)) {
		const [kind, name] = key.split(/\.(.*)/s);
		if (["item", "photo", "text", "open"].includes(key)) state[key] = value || null;
		else if (key === "like" || key === "unlike") state[key] = withExample(state[key], value);
		else if (key === "box") state.box = readBox(value);
		else if (key === "garment") state.garment = value === WHOLE || /^[1-9]\d{0,3}$/.test(value) ? value : null;
		else if (key === "anyway") state.anyway = true;
		else if (key === "same_kind") state.sameKind = value !== "0";
		else if (key === "text_weight" && isNumber(value)) state.textWeight = Math.min(Math.max(Number(value), 0), 1);
		else if (key === "k")
			state.shown = Math.min(Math.max(Math.ceil(Number(value) / PAGE) * PAGE || PAGE, PAGE), MOST_SHOWN);
		else if (key === "weight") {
			const [space, weight] = value.split(/:(?=[^:]*$)/);
			if (Number(weight) >= 0 && weight !== "") state.weights = {...state.weights, [space]: Number(weight)};
		} else if (kind === "is" && name) filter(name).values.push(readValue(value));
		else if (kind === "min" && name && isNumber(value)) filter(name).low = Number(value);
		else if (kind === "max" && name && isNumber(value)) filter(name).high = Number(value);
	}
	if (state.item) state.photo = null;
	if (!state.photo) state.box = null;
	if (!state.photo || state.box) state.garment = null;
	if (!state.item && !state.photo) Object.assign(state, {sameKind: null, textWeight: null, like: [], unlike: []});
	if (!state.text) state.textWeight = null;
	if (state.weights && !Object.values(state.weights).some(weight => weight > 0)) state.weights = null;
	return state;
}

/** Query string of a state, with its question mark; empty for the start page. @param {import("./types.js").State} state */
export function writeState(state) {
	const said = new URLSearchParams();
	for (const key of ["item", "photo", "text"]) if (state[key]) said.set(key, state[key]);
	if (state.textWeight !== null) said.set("text_weight", String(state.textWeight));
	for (const key of ["like", "unlike"]) for (const id of state[key]) said.append(key, id);
	if (state.box) said.set("box", state.box.map(side => Math.round(side)).join(","));
	if (state.garment) said.set("garment", state.garment);
	for (const [space, weight] of Object.entries(state.weights ?? {}))
		said.append("weight", `${space}:${Number(weight.toFixed(3))}`);
	for (const [name, {values, low, high}] of state.filters) {
		for (const value of values) said.append(`is.${name}`, writeValue(value));
		if (low !== null) said.set(`min.${name}`, String(low));
		if (high !== null) said.set(`max.${name}`, String(high));
	}
	if (state.shown > PAGE) said.set("k", String(state.shown));
	if (state.sameKind !== null) said.set("same_kind", state.sameKind ? "1" : "0");
	if (state.anyway) said.set("anyway", "1");
	if (state.open) said.set("open", state.open);
	if (place.gallery) said.set("gallery", place.gallery);
	if (LANGUAGE) said.set("lang", LANGUAGE);
	const text = said.toString();
	return text && `?${text}`;
}

/** Examples with one more. @param {string[]} ids @param {string} id */
export const withExample = (ids, id) => [...ids.filter(one => one !== id), id].filter(Boolean).slice(-MOST_EXAMPLES);

/** Filter expression of the state, optionally without one attribute; null without filters. */
export function whereOf(filters, without = null) {
	const terms = [];
	for (const [name, {values, low, high}] of filters) {
		if (name === without) continue;
		const quoted = `"${name.replaceAll('"', '""')}"`;
		if (values.length) terms.push(`${quoted} in (${values.map(literal).join(", ")})`);
		if (low !== null) terms.push(`${quoted} >= ${low}`);
		if (high !== null) terms.push(`${quoted} <= ${high}`);
	}
	return terms.length ? terms.join(" and ") : null;
}

export const filtersInUse = filters =>
	[...filters.values()].filter(({values, low, high}) => values.length || low !== null || high !== null).length;

function readBox(text) {
	const sides = text.split(",").map(Number);
	const [x1, y1, x2, y2] = sides;
	return sides.length === 4 && sides.every(Number.isFinite) && x1 >= 0 && y1 >= 0 && x1 < x2 && y1 < y2 ? sides : null;
}

const isNumber = text => text.trim() !== "" && Number.isFinite(Number(text));

/** Numbers, true and false as such; other values as text, in quotes if it looks like one of those. */
function readValue(text) {
	if (/^'.*'$/s.test(text)) return text.slice(1, -1);
	if (!LITERAL.test(text)) return text;
	return /^[tf]/i.test(text) ? text.toLowerCase() === "true" : Number(text);
}

function writeValue(value) {
	return typeof value === "string" && (LITERAL.test(value) || /^'.*'$/s.test(value)) ? `'${value}'` : String(value);
}

const literal = value => (typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value));
