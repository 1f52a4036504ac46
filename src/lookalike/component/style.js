// Style of the component. Shops change it by the custom properties of `:host` and by `::part()`.

export const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host {
	--lookalike-accent: #ad3319;
	--lookalike-on-accent: #fff;
	--lookalike-ink: inherit;
	--lookalike-quiet: color-mix(in srgb, currentColor 68%, transparent);
	--lookalike-line: color-mix(in srgb, currentColor 28%, transparent);
	--lookalike-tile: color-mix(in srgb, currentColor 6%, transparent);
	--lookalike-round: 0.5rem;
	--lookalike-card: 11rem;
	display: block;
	color: var(--lookalike-ink);
	container-type: inline-size;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
:focus-visible { outline: 0.1875rem solid var(--lookalike-accent); outline-offset: 0.125rem; }
button, input { font: inherit; color: inherit; }
.bar { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
.words { flex: 1 1 12rem; min-width: 0; display: flex; }
.words input {
	flex: 1; min-width: 0; min-height: 2.75rem; padding: 0 0.75rem; background: transparent;
	border: 0.0625rem solid var(--lookalike-line); border-radius: var(--lookalike-round) 0 0 var(--lookalike-round);
}
.words button { border-radius: 0 var(--lookalike-round) var(--lookalike-round) 0; }
.button {
	min-height: 2.75rem; padding: 0 0.875rem; cursor: pointer; border-radius: var(--lookalike-round);
	background: transparent; border: 0.0625rem solid var(--lookalike-line);
}
.button.first { background: var(--lookalike-accent); border-color: var(--lookalike-accent); color: var(--lookalike-on-accent); }
.quiet { color: var(--lookalike-quiet); }
.small { font-size: 0.875rem; }
.over { outline: 0.1875rem dashed var(--lookalike-accent); outline-offset: 0.375rem; }
.query { display: flex; flex-wrap: wrap; gap: 1rem; margin-top: 1rem; align-items: flex-start; }
.stage { position: relative; line-height: 0; }
.stage img { max-width: 100%; max-height: 16rem; border-radius: var(--lookalike-round); }
.outline {
	position: absolute; min-width: 1.5rem; min-height: 1.5rem; padding: 0; cursor: pointer; background: transparent;
	border: 0.125rem solid #fff; border-radius: 0.375rem; box-shadow: 0 0 0 0.0625rem rgb(0 0 0 / 55%), inset 0 0 0 0.0625rem rgb(0 0 0 / 55%);
}
.outline[aria-pressed="true"] { border: 0.1875rem solid var(--lookalike-accent); }
.choices { display: grid; gap: 0.75rem; justify-items: start; align-content: start; }
.kinds { display: flex; flex-wrap: wrap; gap: 0.5rem; }
.kinds .button[aria-pressed="true"] { border-color: var(--lookalike-accent); box-shadow: inset 0 0 0 0.0625rem var(--lookalike-accent); }
.status { min-height: 1.5em; margin: 0.75rem 0; }
.results {
	display: grid; gap: 1.25rem 1rem; margin: 0; padding: 0; list-style: none;
	grid-template-columns: repeat(auto-fill, minmax(min(var(--lookalike-card), calc(50cqi - 0.5rem)), 1fr));
}
.card {
	display: flex; flex-direction: column; gap: 0.125rem; width: 100%; height: 100%; padding: 0; text-align: start; text-decoration: none;
	color: inherit; background: none; border: 0; cursor: pointer; border-radius: var(--lookalike-round);
}
.photo { display: block; aspect-ratio: 3 / 4; margin-bottom: 0.375rem; overflow: hidden; background: var(--lookalike-tile); border-radius: var(--lookalike-round); }
.photo img { width: 100%; height: 100%; object-fit: contain; }
.card:hover .title { text-decoration: underline; }
.title { overflow-wrap: anywhere; }
.price { font-weight: 600; }
.before { color: var(--lookalike-quiet); }
.more { margin: 1.25rem auto 0; display: block; }
.busy .results { opacity: 0.55; transition: opacity 0.15s 0.15s; }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`);
