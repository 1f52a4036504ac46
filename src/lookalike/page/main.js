// Main module: renders the page from the state, which is in the URL.

import {Answers, isNoGood, keyOf} from "./answers.js";
import {ApiError, findsGarments, findsNoGarments, getFacets, getItem, getPhoto} from "./api.js";
import {byId, withStyle} from "./dom.js";
import {kindShown, showGuesses, withoutKind} from "./guesses.js";
import {prepared} from "./component/photos.js";
import {listenForPhotos} from "./intake.js";
import {keep, kept, recentSearches, remember} from "./kept.js";
import {Latest} from "./latest.js";
import {hideNotice, Outage, showNotice, tell} from "./notices.js";
import {QueryPanel} from "./query.js";
import {Results} from "./results.js";
import {message, settings, withTexts} from "./settings.js";
import {place} from "./place.js";
import {showBeginnings} from "./start.js";
import {MOST_SHOWN, PAGE, WHOLE, emptyState, readState, whereOf, withExample, writeState} from "./state.js";
import {nameOf, percentText} from "./labels.js";
import {Words} from "./words.js";

const SLOW_MS = [1500, 6000];
const SENDING_MS = 400; // from which it is told how much of a photo is sent
const PART_OF = 1280; // longest side of an item's photo, to search for a part of it

let state = readState(location.search);
let shown = null; // the key of the answer in the grid
let counted; // the expression that the facets were counted for
let facets = [];
const answers = new Answers();
const items = new Map(); // items received so far, by id

const say = text => (byId("spoken").textContent = text);
const hrefOf = item => writeState({...emptyState(), item});
const queryOf = ({item, photo, text}) =>
	item ? `item ${item}` : photo ? `photo ${photo}` : text ? `words ${text}` : null;
const titleOf = what => `${what} – ${settings.name}`;
/** @typedef {typeof doors} Doors What the parts of the page can ask for. */
const doors = {
	search: searchItem,
	details: id => go({open: id}),
	boxed,
	choose,
	lookAtPart,
	hrefOf,
	say,
	addExample,
	tell,
};

const results = new Results(byId("grid"), doors);
const closed = () => (history.state?.opened ? history.go(-history.state.opened) : go({open: null}, {push: false}));
const explain = (match, signal) => answers.explanation(state, match, signal);
/** @type {import("./details.js").Details|null} Made when it is first needed. */
let details = null;
const query = new QueryPanel(doors);
const words = new Words({search: searchWords, weigh: textWeight => go({textWeight}, {push: false})});
/** @type {import("./weights.js").Weights|null} */
let weights = null;
/** @type {import("./filters.js").Filters|null} */
let filters = null;
const isWide = matchMedia("(min-width: 900px)");
/** @type {typeof import("./sheet.js")|null} */
let sheet = null;
const searching = new Latest(runSearch);
const counting = new Latest(runFacets);
const outage = new Outage(() => refresh());

const actions = {
	again: [message("try_again"), () => (hideNotice(), refresh())],
	other: [message("another_photo"), () => byId("choose").click()],
	restart: [message("start_again"), () => go(emptyState())],
	clear: [message("clear_filters"), clearFilters],
	anyway: [message("nearest_anyway"), showAnyway],
};

// Navigation.

/** Tell of the use of answers, if that is wanted; best effort. */
const telling = use => settings.events && import("./tells.js").then(use, () => {});

function go(change, {push = true} = {}) {
	state = {...state, ...change};
	const url = location.pathname + writeState(state);
	if (push && url !== location.pathname + location.search) {
		const opened = change.open ? (history.state?.opened ?? 0) + 1 : 0; // history entries of the details
		history.replaceState({...history.state, scroll: scrollY}, "");
		history.pushState({opened}, "", url);
	} else history.replaceState(history.state, "", url);
	refresh();
}

function boxed(box) {
	const {garments, chosen} = answers.garments(state);
	const garment = !box && garments.length ? WHOLE : null;
	go({box, garment, shown: PAGE}, {push: !box && chosen !== null});
}

/** Search where a move has stopped, to be remembered. */
function settle() {
	if (answers.passing) searching.ask(state);
	answers.passing = false;
}
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(settle));

function choose(number) {
	const filters = withoutKind(answers.get(shown)?.labels ?? {}, facets, state.filters);
	go({box: null, garment: String(number), filters, shown: PAGE});
}

function searchItem(id) {
	details?.close();
	const {weights, filters, sameKind} = state;
	go({...emptyState(), item: id, weights, filters, sameKind});
	toTop();
}

/** Search by words, alone or beside the photo or item. */
function searchWords(text) {
	const next = {...state, text, textWeight: text && state.textWeight, shown: PAGE, anyway: false};
	if (text !== state.text) go(queryOf(next) ? next : emptyState());
}

/** Take an item as an example to look more, or less, like. */
function addExample(id, isLike) {
	const [key, other] = isLike ? ["like", "unlike"] : ["unlike", "like"];
	telling(({tellOf}) => tellOf(id, isLike ? "like" : "less"));
	details.close();
	const examples = {[key]: withExample(state[key], id), [other]: state[other].filter(one => one !== id)};
	go({...examples, open: null, sameKind: state.sameKind ? null : state.sameKind, shown: PAGE});
	toTop();
}

async function showExamples() {
	if (!state.like.length && !state.unlike.length && byId("examples").hidden) return;
	const module = await needed(withTexts(import("./examples.js")));
	module?.showExamples(state, items, left => go({...left, shown: PAGE}));
}

/** Part of the page that is loaded when it is needed; null while the server cannot be reached. @template T @param {Promise<T>} part */
const needed = part =>
	part.catch(() => {
		outage.begin();
		return null;
	});

async function showChips() {
	if (!state.filters.size && byId("chips").hidden) return;
	const module = await needed(import("./chips.js"));
	module?.showChips(state.filters, {
		change: (name, filter) => setFilter(name, filter, {push: true}),
		clear: clearFilters,
	});
}

async function showRecent() {
	if (!recentSearches().length) return;
	const module = await needed(import("./recent.js"));
	module?.showRecent(address => {
		state = readState(address);
		go({});
		toTop();
	});
}

let isIn = settings.open && !place.gallery;

/** Do what comes before a search. @param {ApiError|null} problem Why a key is not taken any more. */
async function arrive(problem) {
	if (problem) isIn = false;
	if (isIn) {
		setMode("search");
		shown = null;
		hideNotice();
		query.showNothing(message("looking"));
		results.showWaiting(PAGE / 2);
	}
	const module = await needed(withTexts(import("./arrival.js")));
	if (!module) return;
	try {
		const address = await module.arrive({isIn, problem});
		isIn = true;
		outage.end();
		if (address === null) return refresh();
		state = readState(address);
		go({}, {push: false});
	} catch (error) {
		failAlone(error);
	}
}

function failAlone(error) {
	byId("key")?.remove();
	setMode("alone");
	searching.stop();
	shown = null;
	fail(error);
}

let taken = 0; // number of the last photo that was given

/** Search by a photo, unless another one was given meanwhile. @param {() => Promise<[Blob, string]|null>} get Photo and its name. */
async function takePhoto(get, words = {}) {
	const turn = ++taken;
	const photo = await get();
	if (!photo || turn !== taken) return;
	details?.close();
	go({...emptyState(), photo: await keep(...photo), weights: state.weights, ...words});
	toTop();
}

async function lookAtPart(id) {
	try {
		const name = items.has(id) ? nameOf(items.get(id)) : id;
		const {text, textWeight} = state;
		const get = async () => {
			const photo = await getPhoto(id, PART_OF);
			return /** @type {[Blob, string]|null} */ (state.item === id ? [photo, name] : null);
		};
		await takePhoto(get, {text, textWeight});
	} catch (error) {
		if (state.item === id) fail(error);
	}
}

function setFilter(name, filter, {push}) {
	const next = new Map(state.filters);
	const used = filter.values.length || filter.low !== null || filter.high !== null;
	if (used) next.set(name, filter);
	else next.delete(name);
	go({filters: next, shown: PAGE}, {push});
}

function clearFilters() {
	go({filters: new Map(), shown: PAGE});
}

function showAnyway() {
	go({anyway: true});
	focusResults();
}

function toTop() {
	scrollTo({top: 0});
	sheet?.setSheet(false);
	focusResults();
}

const focusResults = () => byId("results").focus({preventScroll: true}); // what had the focus was removed

addEventListener("popstate", ({state: left}) => {
	state = readState(location.search);
	details?.close();
	refresh();
	scrollTo({top: left?.scroll ?? 0});
});
history.scrollRestoration = "manual";

// Rendering.

/** @param {"start"|"search"|"alone"} mode A notice stands alone where there is nothing to search in. */
function setMode(mode) {
	document.body.dataset.mode = mode;
	byId("start").hidden = mode !== "start";
	byId("search").hidden = mode === "start";
}

function refresh() {
	if (!isIn || new URLSearchParams(location.search).has("shared")) return arrive(null);
	useSheet();
	offer();
	const looking = queryOf(state) !== null;
	setMode(looking ? "search" : "start");
	words.show(state);
	if (looking) showSearch();
	else {
		searching.stop();
		results.clear();
		shown = null;
		showRecent();
		showBeginnings(doors).catch(error => {
			if (error.kind === "unreachable") outage.begin();
			else if (["key", "gallery"].includes(error.kind)) failAlone(error);
			else if (!(error instanceof ApiError)) throw error;
		});
		document.title = settings.name;
	}
	if (state.open) showDetails();
}

async function showSearch() {
	showExamples();
	showChips();
	if (answers.has(state)) {
		searching.stop();
		showAnswer(state);
	} else {
		const isNew = shown === null || JSON.parse(shown).slice(0, 2).join() !== [state.item, state.photo].join();
		if (isNew) {
			shown = null;
			hideNotice();
			byId("more").hidden = true;
			showLabels();
			results.showWaiting(PAGE / 2);
		}
		searching.ask(state, {instead: isNew});
	}
	await showQuery(state);
}

async function showQuery(now) {
	if (!now.item && !now.photo) {
		query.showWords();
		document.title = titleOf(now.text);
		return;
	}
	if (now.item) {
		query.showItem(now.item, items.get(now.item));
		document.title = titleOf(nameOf(items.get(now.item) ?? {id: now.item}));
		if (items.has(now.item)) return;
		const item = await getItem(now.item).catch(() => null); // the search shows it
		if (!item) return;
		items.set(item.id, item);
		if (answers.has(now)) rememberSearch(now);
		if (state.item === item.id) {
			showQuery(state);
			showLabels();
		}
		return;
	}
	const photo = await kept(now.photo);
	if (state.photo !== now.photo) return;
	document.title = titleOf(message("your_photo"));
	if (!photo) return query.showNothing(message("photo_not_here"));
	query.showPhoto(photo, {box: state.box, ...answers.garments(state)});
	const isAsked = !state.box && state.garment !== WHOLE;
	if (!isAsked && (await answers.find(photo.name).catch(() => false))) showQuery(state);
}

async function runSearch(now, signal) {
	if (answers.has(now)) return showAnswer(now); // fetched meanwhile
	const status = byId("status");
	const slow = [message("still_looking"), message("server_slow")];
	let timers = [];
	const wait = () => {
		timers.forEach(clearTimeout);
		timers = SLOW_MS.map((after, at) => setTimeout(() => (status.textContent = slow[at]), after));
	};
	const began = performance.now();
	/** The server is waited for only when it has got everything. */
	const sent = share => {
		if (signal.aborted) return;
		const isLong = share < 1 && performance.now() - began > SENDING_MS;
		byId("sending").hidden = !isLong;
		byId("sending").value = share;
		if (isLong) status.textContent = message("sending", {share: percentText(share)});
		if (share === 1 && isSending) status.textContent = message("looking");
		isSending = isLong;
		wait();
	};
	let isSending = false;
	byId("sending").hidden = true; // that of a search that was given up
	wait();
	byId("results").setAttribute("aria-busy", "true");
	byId("grid").classList.toggle("stale", shown !== null && shown !== keyOf(now));
	if (shown === null) status.textContent = message("looking");
	try {
		const {matches} = await answers.fetch(now, signal, sent);
		if (signal.aborted) return;
		for (const match of matches) for (const one of [match, ...(match.variants ?? [])]) items.set(one.id, one);
		rememberSearch(now);
		outage.end();
		if (queryOf(now) === queryOf(state)) showAnswer(now);
	} catch (error) {
		if (!signal.aborted && queryOf(now) === queryOf(state)) fail(error);
	} finally {
		timers.forEach(clearTimeout);
		if (!signal.aborted) byId("sending").hidden = true;
	}
}

/** At once, as the page may be left, and again when the name of the item is known. */
function rememberSearch({item, photo, text}) {
	const named = item ? nameOf(items.get(item) ?? {id: item}) : photo ? message("your_photo") : null;
	const label = [named, text].filter(Boolean).join(", ");
	if (label) remember({address: writeState({...emptyState(), item, photo, text}), item, photo, text, label});
}

function showAnswer(now) {
	const answer = answers.get((shown = keyOf(now)));
	const {matches, weights: used, ended, reading} = answer;
	const isHidden = isNoGood(now, answer);
	byId("results").setAttribute("aria-busy", "false");
	const visible = isHidden ? [] : matches.slice(0, now.shown);
	const number = visible.length;
	byId("grid").classList.remove("stale");
	byId("sending").hidden = true;
	hideNotice();
	results.show(visible, used);
	telling(({watch}) => watch(visible));
	byId("more").hidden = !number || number >= MOST_SHOWN || (ended && number === matches.length);
	const isBest = !queryOf({...now, text: null}); // words alone
	const found = message(isBest ? "best_shown" : "most_similar_shown", {count: number});
	byId("status").textContent = number ? found : message(isHidden ? "no_good_match" : "nothing_found");
	showWeights();
	words.showReading(reading, now.textWeight);
	if (isHidden || !number)
		explainWhy(({noGoodMatchOf, emptyOf}) =>
			isHidden ? noGoodMatchOf(now, {...answer, ...answers.garments(now)}, actions) : emptyOf(now, actions),
		);
	showLabels();
	if (counted !== whereOf(now.filters)) counting.ask(now);
	if (now.photo) showQuery(state); // its garments may be known now
}

function showLabels() {
	const change = (name, filter) => setFilter(name, filter, {push: true});
	const {labels = {}, kind: searched = null} = answers.get(shown) ?? {};
	const {garments, chosen} = answers.garments(state);
	const garment = garments.find(({number}) => number === chosen);
	const kind = state.item || state.photo ? kindShown({labels, garment, item: items.get(state.item), facets}) : null;
	const isOn = searched !== null || state.sameKind === true;
	const toggle = () => go({sameKind: !isOn, shown: PAGE});
	showGuesses(labels, facets, state.filters, change, {kind: searched ?? kind, isOn, toggle});
}

/** Show an error and the actions that help; results stay if they are still valid. */
function fail(error) {
	byId("results").setAttribute("aria-busy", "false");
	if (!(error instanceof ApiError)) throw error;
	if (error.kind === "key") return arrive(error);
	if (error.code === "no_finder") findsNoGarments();
	if (error.code === "no_finder" || error.code === "no_garment") return go({garment: null}, {push: false});
	if (error.kind === "refused" && (state.sameKind || (state.weights && state.text)))
		return go({sameKind: false, weights: null}, {push: false}); // words without a colour need another weight than its
	if (error.kind === "unreachable") {
		outage.begin();
		byId("status").textContent = shown === null ? "" : message("previous_results");
		if (shown !== null) return;
	}
	if (error.code === "unknown_words") {
		words.tell(message("no_word"), true);
		byId("status").textContent = shown === null ? "" : message("previous_results");
		return shown === null && results.clear();
	}
	if (error.kind === "missing") query.showNothing(message("nothing_shown"));
	shown = null;
	results.clear();
	byId("more").hidden = true;
	showLabels();
	byId("grid").classList.remove("stale");
	byId("status").textContent = "";
	explainWhy(({failureOf}) => failureOf(error, state, actions));
}

/** Show a notice in place of results. @param {(texts: typeof import("./failures.js")) => Parameters<typeof showNotice>[0]} make */
async function explainWhy(make) {
	const [asked, answered] = [state, shown];
	const texts = await withTexts(import("./failures.js")).catch(() => null);
	if (asked !== state || answered !== shown) return;
	const title = message(navigator.onLine ? "no_answer" : "offline");
	/** @type {[string, () => void][]} */
	const again = [[message("try_again"), () => (hideNotice(), refresh())]];
	showNotice(texts ? make(texts) : {title, text: message("will_go_on"), actions: again, mark: "close"});
}

async function showDetails() {
	const {open} = state;
	const module = await needed(withStyle("details.css", withTexts(import("./details.js"))));
	if (!module || state.open !== open) return; // meanwhile
	details ??= new module.Details(byId("details"), {...doors, closed, explain});
	await details.show(open, answers.get(shown), state);
}

/** Facets per attribute, each without its own filter: the counts are those of another choice. */
async function runFacets(now, signal) {
	const names = [...now.filters.keys()];
	const wanted = [null, ...names].map(name => getFacets(whereOf(now.filters, name), signal));
	try {
		const [all, ...without] = await Promise.all(wanted);
		const own = names.map((name, at) => without[at].facets.find(facet => facet.name === name)).filter(Boolean);
		const others = all.facets.filter(({name}) => own.every(facet => facet.name !== name));
		if (signal.aborted) return;
		counted = whereOf(now.filters);
		facets = [...own, ...others];
		showFilters();
		showLabels();
	} catch (error) {
		if (!signal.aborted && !(error instanceof ApiError)) throw error; // the search shows the error
	}
}

const adjusting = () => withStyle("adjust.css", Promise.all([import("./weights.js"), import("./filters.js")]));

/** Load what stands in the sheet, or beside the results, if in view. @returns {Promise<boolean>} Is it there? */
async function isAdjusting() {
	if (!isWide.matches && !sheet?.isSheetOpen()) return false;
	const parts = await needed(adjusting());
	if (!parts) return false;
	const [{Weights}, {Filters}] = parts;
	weights ??= new Weights(byId("weights"), next => go({weights: next}, {push: false}));
	filters ??= new Filters(byId("filters"), (name, filter, done) => setFilter(name, filter, {push: done}));
	return true;
}

async function showWeights() {
	const answer = answers.get(shown);
	if (!answer || !(await isAdjusting()) || answer !== answers.get(shown)) return;
	const isLetters = answer.reading?.searched.join() === "full_text" && !queryOf({...state, text: null}); // no space counts
	weights.show(isLetters ? {} : {...answer.weights, ...state.weights}, {isDefault: state.weights === null});
}

async function showFilters() {
	if (facets.length && (await isAdjusting())) filters.show(facets, state.filters);
}

async function showSheet() {
	const isThere = await isAdjusting();
	await Promise.all([showWeights(), showFilters()]);
	return isThere;
}

// Event handlers.

function offer() {
	if (settings.several)
		needed(withStyle("galleries.css", import("./galleries.js"))).then(module => module?.offerGalleries());
}

/** Small screens have weights and filters in a sheet. */
async function useSheet() {
	if (isWide.matches || sheet) return;
	const module = await needed(import("./sheet.js"));
	if (sheet || !module) return;
	sheet = module;
	sheet.listenForSheet(showSheet);
}
isWide.addEventListener("change", () => (useSheet(), showSheet()));
byId("more").firstElementChild.addEventListener("click", () => {
	const last = byId("grid").lastElementChild;
	go({shown: state.shown + PAGE}, {push: false});
	last?.querySelector("a").focus({preventScroll: true}); // the button may be removed
});
document.querySelector("[data-home]").addEventListener("click", event => {
	event.preventDefault();
	details?.close();
	go(emptyState());
});
const got = file =>
	takePhoto(async () => {
		const photo = await prepared(file);
		const most = settings.photo_bytes;
		if (photo.size <= most) return /** @type {[Blob, string]} */ ([photo, file.name]);
		refused("photo_too_large", {size: photo.size, most});
		return null;
	});

/** @type {(key: string, sizes?: Record<string, number>) => Promise<void>} */
async function refused(key, sizes) {
	const module = await needed(withTexts(import("./refusals.js")));
	if (module) tell(module.reasonOf(key, sizes));
}
listenForPhotos({got, refused});

if (isIn) findsGarments().catch(() => {}); // early, so that the first search does not wait
if (isWide.matches) adjusting().catch(() => {});
refresh();
