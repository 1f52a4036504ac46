// The page: what is looked for stands in the URL; from it everything that is shown follows.

import { ApiError, THUMBNAIL, getFacets, getItem, getItems, getPhoto, photoUrl, search } from "./api.js";
import { Details } from "./details.js";
import { byId, make, picture, plainClick } from "./dom.js";
import { Filters } from "./filters.js";
import { listenForPhotos, prepared } from "./intake.js";
import { keep, kept } from "./kept.js";
import { Latest } from "./latest.js";
import { hideNotice, Outage, showNotice } from "./notices.js";
import { QueryPanel } from "./query.js";
import { Results } from "./results.js";
import { MOST_SHOWN, PAGE, emptyState, filtersInUse, readState, whereOf, writeState } from "./state.js";
import { count, labelOf, nameOf, numberText, valueText } from "./words.js";
import { Weights } from "./weights.js";

const SLOW_MS = [1500, 6000];
const BEGIN_WITH = 12;
const PART_OF = 1280; // pixels of an item's photo that a part of is looked at
const ANSWERS_KEPT = 40;

let state = readState(location.search);
let usual = null; // the server's own weights
let shown = null; // the key of the answer in the grid
let counted; // the expression that the facets were counted for
const answers = new Map(); // key -> {matches, weights, ended}
const items = new Map(); // all that was met, by id

const say = (text) => (byId("spoken").textContent = text);
const hrefOf = (item) => writeState({ ...emptyState(), item });
const queryOf = ({ item, photo }) => (item ? `item ${item}` : photo ? `photo ${photo}` : null);
const keyOf = ({ item, photo, box, weights, filters }) => JSON.stringify([item, photo, box, weights, whereOf(filters)]);

const results = new Results(byId("grid"), { search: searchItem, details: openDetails, hrefOf });
const details = new Details(byId("details"), {
  search: searchItem, details: openDetails, hrefOf, say,
  closed: () => (history.state?.opened ? history.go(-history.state.opened) : go({ open: null }, { push: false })),
});
const query = new QueryPanel({ boxed: (box) => go({ box, shown: PAGE }, { push: false }), lookAtPart, details: openDetails, say });
const weights = new Weights(byId("weights"), (next) => go({ weights: next }, { push: false }));
const filters = new Filters(byId("filters"), (name, filter, done) => setFilter(name, filter, { push: done }));
const searching = new Latest(runSearch);
const counting = new Latest(runFacets);
const outage = new Outage(() => refresh());

// Going from one thing to the next.

/** Change what is looked for, and show it. */
function go(change, { push = true } = {}) {
  state = { ...state, ...change };
  const url = location.pathname + writeState(state);
  if (push && url !== location.pathname + location.search) {
    history.replaceState({ ...history.state, scroll: scrollY }, "");
    history.pushState({ opened: change.open ? (history.state?.opened ?? 0) + 1 : 0 }, "", url); // how far back they are closed
  } else history.replaceState(history.state, "", url);
  refresh();
}

function searchItem(id) {
  details.close();
  go({ item: id, photo: null, box: null, shown: PAGE, open: null });
  toTop();
}

function openDetails(id) {
  go({ open: id });
}

async function searchPhoto(blob, label) {
  details.close();
  const photo = await keep(blob, label);
  go({ ...emptyState(), photo, weights: state.weights });
  toTop();
}

async function lookAtPart(id) {
  try {
    const name = items.has(id) ? nameOf(items.get(id)) : id;
    await searchPhoto(await getPhoto(id, PART_OF), name);
  } catch (error) {
    fail(error);
  }
}

function setFilter(name, filter, { push }) {
  const next = new Map(state.filters);
  const used = filter.values.length || filter.low !== null || filter.high !== null;
  if (used) next.set(name, filter);
  else next.delete(name);
  go({ filters: next, shown: PAGE }, { push });
}

function toTop() {
  scrollTo({ top: 0 });
  setSheet(false);
  byId("results").focus({ preventScroll: true }); // what had the focus is gone
}

addEventListener("popstate", ({ state: left }) => {
  state = readState(location.search);
  details.close();
  refresh();
  scrollTo({ top: left?.scroll ?? 0 });
});
history.scrollRestoration = "manual";

// Showing what the state says.

function refresh() {
  const looking = queryOf(state) !== null;
  document.body.dataset.mode = looking ? "search" : "start";
  byId("start").hidden = looking;
  byId("search").hidden = !looking;
  if (looking) showSearch();
  else {
    searching.stop();
    results.clear();
    shown = null;
    showBeginnings();
    document.title = "Lookalike";
  }
  if (state.open) showDetails();
}

async function showSearch() {
  showChips();
  const known = answers.get(keyOf(state));
  if (isEnough(known, state)) {
    searching.stop();
    showAnswer(known, state);
  } else {
    const isNew = shown === null || JSON.parse(shown).slice(0, 2).join() !== [state.item, state.photo].join();
    if (isNew) {
      shown = null;
      hideNotice();
      byId("more").hidden = true;
      results.showWaiting(PAGE / 2);
    }
    searching.ask(state, { instead: isNew });
  }
  await showQuery(state);
}

const isEnough = (answer, { shown: wanted }) => answer !== undefined && (answer.ended || answer.matches.length >= wanted);

async function showQuery(now) {
  if (now.item) {
    query.showItem(now.item, items.get(now.item));
    document.title = `${nameOf(items.get(now.item) ?? { id: now.item })} – Lookalike`;
    if (items.has(now.item)) return;
    const item = await getItem(now.item).catch(() => null); // the search itself says what is wrong
    if (!item) return;
    items.set(item.id, item);
    if (state.item === item.id) showQuery(state);
    return;
  }
  const photo = await kept(now.photo);
  if (state.photo !== now.photo) return;
  document.title = "Your photo – Lookalike";
  if (photo) query.showPhoto(photo, state.box);
  else query.showNothing("This photo is not here.");
}

async function runSearch(now, signal) {
  const key = keyOf(now);
  const before = answers.get(key);
  if (isEnough(before, now)) return showAnswer(before, now); // it was asked for twice
  const offset = before?.matches.length ?? 0;
  const timers = SLOW_MS.map((after, at) => setTimeout(() => {
    byId("status").textContent = at ? "The server is slow…" : "Still looking…";
  }, after));
  byId("results").setAttribute("aria-busy", "true");
  byId("grid").classList.toggle("stale", shown !== null && shown !== key);
  if (shown === null) byId("status").textContent = "Looking…";
  try {
    const photo = now.photo && (await kept(now.photo));
    if (now.photo && !photo) throw new ApiError("gone", "");
    const answer = await search({
      photo: photo?.blob, item: now.item, box: now.box, weights: now.weights, where: whereOf(now.filters),
      k: now.shown - offset, offset,
    }, signal);
    if (signal.aborted) return;
    if (!now.weights) usual = answer.query.weights;
    for (const match of answer.matches) items.set(match.id, match);
    const entry = {
      matches: [...(before?.matches ?? []), ...answer.matches], weights: answer.query.weights,
      ended: answer.matches.length < now.shown - offset,
    };
    answers.delete(key);
    answers.set(key, entry);
    if (answers.size > ANSWERS_KEPT) answers.delete(answers.keys().next().value);
    outage.end();
    if (queryOf(now) === queryOf(state)) showAnswer(entry, now);
  } catch (error) {
    if (!signal.aborted && queryOf(now) === queryOf(state)) fail(error);
  } finally {
    timers.forEach(clearTimeout);
  }
}

function showAnswer({ matches, weights: used, ended }, now) {
  shown = keyOf(now);
  byId("results").setAttribute("aria-busy", "false");
  const visible = matches.slice(0, now.shown);
  byId("grid").classList.remove("stale");
  hideNotice();
  results.show(visible, used);
  byId("more").hidden = !visible.length || visible.length >= MOST_SHOWN || (ended && visible.length === matches.length);
  byId("status").textContent = visible.length ? `the ${visible.length > 1 ? `${numberText(visible.length)} ` : ""}most alike` : "Nothing found";
  weights.show(state.weights ? { ...used, ...state.weights } : used, { isDefault: state.weights === null });
  if (!visible.length) showEmpty();
  if (counted !== whereOf(now.filters)) counting.ask(now);
}

function showEmpty() {
  if (filtersInUse(state.filters)) {
    showNotice({ title: "Nothing passes these filters", text: "Take one away, or all of them.", actions: [["Clear the filters", clearFilters]] });
  } else {
    showNotice({ title: "There is nothing else here", text: "The catalogue holds no other item to compare with.", actions: [["Begin anew", () => go(emptyState())]] });
  }
}

const clearFilters = () => go({ filters: new Map(), shown: PAGE });

/** Say what went wrong, and how to go on; what is on the page stays where it still makes sense. */
function fail(error) {
  byId("results").setAttribute("aria-busy", "false");
  const again = ["Try again", () => (hideNotice(), refresh())];
  const other = ["Choose another photo", () => byId("choose").click()];
  const anew = ["Begin anew", () => go(emptyState())];
  if (!(error instanceof ApiError)) throw error;
  if (error.kind === "unreachable") {
    outage.begin();
    byId("status").textContent = shown === null ? "" : "These are from before.";
    if (shown !== null) return;
  }
  const said = {
    unreachable: { title: error.message, text: "The page will go on by itself as soon as it can.", actions: [again], mark: "close" },
    busy: { title: "Many people are searching", text: "The server has no room for another search just now.", actions: [again] },
    gone: { title: "This photo is not in this browser", text: "A photo stays where it was searched with. Searches by an item can be shared.", actions: [other, anew] },
    missing: { title: "This item is not in the catalogue", text: "It may have been removed since.", actions: [anew] },
    refused: state.photo && error.code.includes("photo")
      ? { title: "This photo cannot be read", text: error.message, actions: [other, anew], mark: "photo" }
      : { title: "The server refused this search", text: error.message, actions: filtersInUse(state.filters) ? [["Clear the filters", clearFilters], anew] : [anew] },
    failed: { title: "Something went wrong on the server", text: "It may help to try again in a moment.", actions: [again, anew] },
  }[error.kind];
  if (error.kind === "missing") query.showNothing("Nothing here");
  shown = null;
  results.clear();
  byId("more").hidden = true;
  byId("grid").classList.remove("stale");
  byId("status").textContent = "";
  showNotice(said);
}

async function showDetails() {
  const answer = shown === null ? null : answers.get(shown);
  const match = answer?.matches.find(({ id }) => id === state.open) ?? null;
  await details.show(state.open, { match, weights: answer?.weights ?? null });
}

async function showBeginnings() {
  const list = byId("begin-list");
  if (list.childElementCount) return;
  try {
    const { total } = await getItems(0, 0);
    // Steps of the golden ratio: far apart from each other, however the catalogue is ordered.
    const places = new Set(Array.from({ length: BEGIN_WITH }, (_, at) => Math.floor(((at * 0.618034) % 1) * total)));
    const pages = await Promise.all([...places].map((place) => getItems(place, 1)));
    const found = pages.flatMap((page) => page.items);
    if (list.childElementCount) return;
    for (const item of found) items.set(item.id, item);
    list.replaceChildren(...found.map((item) => make("li", {}, make("a", {
      class: "tile", href: hrefOf(item.id), "aria-label": `Find what looks like ${nameOf(item)}`, onclick: plainClick(() => searchItem(item.id)),
    }, picture(photoUrl(item.id, THUMBNAIL), { width: "300", height: "400" })))));
    byId("begin-title").textContent = total ? `Or begin with one of ${count(total, "item")}` : "Nothing is indexed here yet";
    byId("begin").hidden = false;
  } catch (error) {
    if (error.kind === "unreachable") outage.begin();
  }
}

// Filters.

/** Counts of an attribute ignore its own filter, so that one can see what another choice would give. */
async function runFacets(now, signal) {
  const names = [...now.filters.keys()];
  try {
    const [all, ...without] = await Promise.all([
      getFacets(whereOf(now.filters), signal), ...names.map((name) => getFacets(whereOf(now.filters, name), signal))]);
    const own = names.map((name, at) => without[at].facets.find((facet) => facet.name === name)).filter(Boolean);
    const others = all.facets.filter(({ name }) => own.every((facet) => facet.name !== name));
    if (signal.aborted) return;
    counted = whereOf(now.filters);
    filters.show([...own, ...others], state.filters);
  } catch (error) {
    if (!signal.aborted && !(error instanceof ApiError)) throw error; // the search says what is wrong with the server
  }
}

function showChips() {
  const chips = [...state.filters].flatMap(([name, filter]) => [
    ...filter.values.map((value) => [`${labelOf(name)}: ${valueText(value)}`, () => setFilter(name, { ...filter, values: filter.values.filter((one) => one !== value) }, { push: true })]),
    ...(filter.low !== null || filter.high !== null ? [[rangeText(name, filter), () => setFilter(name, { ...filter, low: null, high: null }, { push: true })]] : []),
  ]);
  byId("chips").hidden = !chips.length;
  if (byId("chips").contains(document.activeElement)) byId("results").focus({ preventScroll: true });
  byId("chips").replaceChildren(...chips.map(([text, remove]) => make("li", {},
    make("button", { type: "button", class: "chip", "aria-label": `Remove the filter ${text}`, onclick: remove }, text, make("span", { "aria-hidden": "true" }, "×")))));
  if (chips.length > 1) byId("chips").append(make("li", {}, make("button", { type: "button", class: "link", onclick: clearFilters }, "Clear all")));
  byId("adjust-count").hidden = !chips.length;
  byId("adjust-count").textContent = String(chips.length);
}

function rangeText(name, { low, high }) {
  const label = labelOf(name);
  if (low === null) return `${label} up to ${numberText(high)}`;
  return high === null ? `${label} from ${numberText(low)}` : `${label} ${numberText(low)} to ${numberText(high)}`;
}

// Things to press.

function setSheet(open) {
  byId("adjust").classList.toggle("open", open);
  byId("adjust-open").setAttribute("aria-expanded", String(open));
}

byId("adjust-open").addEventListener("click", () => {
  setSheet(!byId("adjust").classList.contains("open"));
  if (!byId("adjust").classList.contains("open")) return;
  byId("adjust-close").focus();
  if (byId("results").getBoundingClientRect().top > innerHeight / 4) byId("results").scrollIntoView({ behavior: "smooth" }); // to see them change
});
byId("adjust-close").addEventListener("click", () => (setSheet(false), byId("adjust-open").focus()));
byId("adjust").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && byId("adjust").classList.contains("open")) byId("adjust-close").click();
});
byId("more").firstElementChild.addEventListener("click", () => {
  const last = byId("grid").lastElementChild;
  go({ shown: state.shown + PAGE }, { push: false });
  last?.querySelector("a").focus({ preventScroll: true }); // the button may vanish; what comes next follows from here
});
document.querySelector("[data-home]").addEventListener("click", (event) => {
  event.preventDefault();
  details.close();
  go(emptyState());
});
listenForPhotos({
  got: async (file) => searchPhoto(await prepared(file), file.name),
  refused: (why) => {
    byId("banner").textContent = why;
    byId("banner").hidden = false;
    setTimeout(() => (byId("banner").hidden = true), 6000);
  },
});

refresh();
