// Cache of search answers, fetched a page at a time, so that going back shows them at once.

import {ApiError, search} from "./api.js";
import {kept} from "./kept.js";
import {whereOf} from "./state.js";

const KEPT = 40;

/** Cache key: the parts of the state that an answer depends on. @param {import("./state.js").State} state */
export const keyOf = ({item, photo, box, weights, filters}) =>
	JSON.stringify([item, photo, box, weights, whereOf(filters)]);

export class Answers {
	#kept = new Map(); // key -> {matches, weights, ended}: what was fetched so far

	/** Cached answer of a key. */
	get(key) {
		return this.#kept.get(key);
	}

	/** Whether all matches that a state shows are cached. */
	has(state) {
		const answer = this.get(keyOf(state));
		return answer !== undefined && (answer.ended || answer.matches.length >= state.shown);
	}

	/** Fetch the missing pages of an answer, and return all of it. */
	async fetch(state, signal) {
		const key = keyOf(state);
		const before = this.get(key)?.matches ?? [];
		const photo = state.photo && (await kept(state.photo));
		if (state.photo && !photo) throw new ApiError("gone", "");
		const {item, box, weights, filters} = state;
		const k = state.shown - before.length;
		const asked = {photo: photo?.blob, item, box, weights, where: whereOf(filters), k, offset: before.length};
		const {matches, query} = await search(asked, signal);
		const answer = {matches: [...before, ...matches], weights: query.weights, ended: matches.length < k};
		this.#kept.delete(key);
		this.#kept.set(key, answer);
		if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
		return answer;
	}
}
