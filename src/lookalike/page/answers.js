// Cache of search answers, fetched a page at a time, so that going back shows them at once.

import {ApiError, findsGarments, getGarments, search} from "./api.js";
import {kept} from "./kept.js";
import {settings} from "./settings.js";
import {WHOLE, filtersInUse, whereOf} from "./state.js";

const KEPT = 40;
const AUTO = "auto";
const PROBABLY = 0.5;

/** Cache key: the parts of the state that an answer depends on. @param {import("./types.js").State} state */
export const keyOf = ({item, photo, box, garment, weights, filters, text, textWeight, sameKind, like, unlike}) =>
	JSON.stringify([item, photo, box, garment, weights, whereOf(filters), text, textWeight, sameKind, like, unlike]);

/** Whether a box or a slider moves: a server that learns remembers only where it stops. */
const isMoving = () => settings.events && document.querySelector(".held, [type=range]:active") !== null;

export class Answers {
	#tellsKinds = false;
	passing = false; // the last answer was asked for meanwhile
	#kept = new Map(); // key -> what was fetched so far
	#found = new Map(); // photo -> {garments, auto}: its garments, and the number that the server chose, undefined if not asked

	get(key) {
		return this.#kept.get(key);
	}

	/** Whether all matches that a state shows are cached. */
	has(state) {
		const answer = this.get(keyOf(state));
		if (!answer || (answer.passing && !isMoving())) return false;
		return answer.ended || answer.matches.length >= state.shown;
	}

	/** Fetch the missing pages of an answer, and return all of it; `sent` is told which share of a photo is sent. */
	async fetch(state, signal, sent) {
		const key = keyOf(state);
		const known = this.get(key);
		const passing = (this.passing = isMoving());
		const before = known && !known.passing ? known.matches : [];
		const asked = await this.#asked(state);
		const k = state.shown - before.length;
		const remember = passing ? "false" : null;
		const page = {...asked, k, offset: before.length, remember};
		let {matches, query} = await search(page, signal, sent);
		if (!matches.length && query.kind && asked.same_kind === AUTO)
			({matches, query} = await search({...page, same_kind: false}, signal, sent));
		this.#tellsKinds ||= Boolean(query.labels?.kind);
		if (query.garments) this.#learn(state.photo, query, asked.garment);
		const answer = {
			matches: [
				...before,
				...matches.map((match, at) => ({...match, query_id: at < 100 && !passing ? query.id : null})),
			],
			weights: query.weights,
			labels: query.labels ?? {},
			noGarment: query.no_garment ?? 0,
			kind: query.same_kind ? query.kind : null,
			reading: query.text_read,
			passing,
			ended: matches.length < k,
		};
		this.#kept.delete(key);
		this.#kept.set(key, answer);
		if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
		return answer;
	}

	/** Where a match agrees with the query; undefined if the server cannot read its photo. */
	async explanation(state, {rank}, signal) {
		const asked = {...(await this.#asked(state)), k: 1, offset: rank - 1, explain: true, remember: "false"};
		const {matches} = await search(asked, signal);
		return matches[0]?.explanation;
	}

	async #asked(state) {
		const photo = state.photo && (await kept(state.photo));
		if (state.photo && !photo) throw new ApiError("gone", "");
		const {item, weights, filters, text, textWeight, sameKind, like, unlike} = state;
		const part = await this.#part(state);
		const probable = this.get(keyOf(state))?.kind === null ? false : AUTO;
		const words = {text, text_weight: textWeight, same_kind: sameKind ?? (photo ? probable : null)};
		return {
			photo: photo?.blob,
			id: [item, ...like].filter(Boolean),
			unlike_id: unlike,
			...part,
			weights,
			where: whereOf(filters),
			...words,
		};
	}

	/** Garments of the query photo as far as they are known, and the number of the one looked at. */
	garments({photo, box, garment}) {
		const {garments = [], auto = null} = this.#found.get(photo) ?? {};
		return {garments, chosen: box || garment === WHOLE ? null : garment ? Number(garment) : auto};
	}

	/** Find the garments of a photo that is not searched by one of them; whether there are any. */
	async find(name) {
		if (this.#found.has(name) || !(await findsGarments())) return false;
		const found = {garments: []};
		this.#found.set(name, found);
		try {
			found.garments = await getGarments((await kept(name)).blob);
		} catch (error) {
			if (this.#found.get(name) === found) this.#found.delete(name); // to be asked again
			throw error;
		}
		return found.garments.length > 0;
	}

	/** Part of the photo to ask for: a box, or a garment that the server has to find. */
	async #part({photo, box, garment, sameKind}) {
		if (!photo || box || !(await findsGarments())) return {box};
		const found = this.#found.get(photo);
		const number = garment ? Number(garment) : found?.auto;
		const known = found?.garments.find(one => one.number === number);
		if (known && (sameKind === false || this.#tellsKinds)) return {box: known.box};
		return {garment: garment ?? (found?.auto === null ? WHOLE : AUTO)};
	}

	#learn(photo, {garment, garments}, asked) {
		const all = [...garments, garment].filter(Boolean).sort((one, other) => one.number - other.number);
		const {garments: known = [], auto} = this.#found.get(photo) ?? {};
		this.#found.set(photo, {
			garments: known.length ? known : all,
			auto: asked === AUTO ? (garment?.number ?? null) : auto,
		});
	}
}

/**
 * Whether no match is probably of the kind that was asked for. Whoever filters, adds words, says what
 * counts, or points at a part of the photo, wants to see the nearest.
 * @param {import("./types.js").State} state
 */
export const isNoGood = ({anyway, weights, filters, box, garment, text}, {matches, noGarment}) =>
	!(anyway || weights || box || garment || text) &&
	!filtersInUse(filters) &&
	matches.length > 0 &&
	(isBare(noGarment) || matches.every(({relevance}) => relevance < PROBABLY));

export const isBare = noGarment => noGarment > PROBABLY;
