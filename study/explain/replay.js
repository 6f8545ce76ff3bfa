const trace = read("trace");
const { tokens, layers, experts, chosen, logits, scoring, prompt } = trace;
const shown = text => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥");

// What routers make of their logits, as probabilities of all experts.
const probabilities = logits.map(rows => rows.map(row => {
	const top = Math.max(...row);
	const scores = row.map(v => scoring === "sigmoid" ? 1 / (1 + Math.exp(-v)) : Math.exp(v - top));
	const sum = scores.reduce((a, b) => a + b, 0);
	return scores.map(s => s / sum);
}));
const weights = chosen.map(rows => rows.map(row => new Map(row)));
const entropy = p => -p.reduce((h, v) => v > 0 ? h + v * Math.log(v) : h, 0);
// The most that an expert weighs in a layer, which is drawn in full colour.
const heaviest = layers.map((_, l) => Math.max(...chosen.map(rows => Math.max(...rows[l].map(c => c[1])))));
// loads[t][l][e] counts the choices up to token t.
const loads = [];
chosen.forEach((rows, t) => {
	loads.push(rows.map((row, l) => {
		const counts = t > 0 ? [...loads[t - 1][l]] : new Array(experts).fill(0);
		row.forEach(c => counts[c[0]]++);
		return counts;
	}));
});

let here = 0, timer = 0;

// Grids of experts: of this token and of the load so far by layer, and of all tokens by layer and expert.
const room = canvas => Math.max(240, canvas.parentElement.clientWidth);
const grids = Object.fromEntries(["now", "load", "timeline"].map(name => [name, new Grid(byId(name), (at, e) => point(name, at, e))]));
const numbers = Array.from({ length: experts }, (_, e) => "" + e), layerNames = layers.map(l => "layer " + l);
const byLayer = (grid, draw) => grid.show({ rows: layerNames, columns: numbers, room: room(grid.canvas), least: 7, most: 46, height: layers.length > 16 ? 16 : 24,
	draw: (c, l, e, x, y, w, h) => { c.textAlign = "center"; draw(c, l, e, x, y, w, h); } });

const expert = (c, t, l, e, x, y, w, h, faint) => {
	const weight = weights[t][l].get(e);
	if (weight === undefined) {
		fill(c, x, y, w, h, colours.ink, 0.05);
		fill(c, x, y, w, h, colours.cold, faint * probabilities[t][l][e]);
	} else {
		fill(c, x, y, w, h, colours.warm, 0.3 + 0.7 * Math.max(0, weight) / heaviest[l]);
	}
	return weight;
};

const drawNow = () => byLayer(grids.now, (c, l, e, x, y, w, h) => {
	const weight = expert(c, here, l, e, x, y, w, h, 0.75);
	if (weight !== undefined && w > 30) {
		c.fillStyle = weight > 0.4 * heaviest[l] ? colours.card : colours.ink;
		c.fillText(weight.toFixed(2), x + w / 2, y + h / 2);
	}
});

const drawLoad = () => {
	const most = layers.map((_, l) => Math.max(...loads[here][l]));
	byLayer(grids.load, (c, l, e, x, y, w, h) => {
		const n = loads[here][l][e];
		fill(c, x, y, w, h, colours.ink, 0.05);
		if (n > 0) fill(c, x, y, w, h, colours.good, 0.15 + 0.85 * n / most[l]);
		if (w > 24 && n > 0) {
			c.fillStyle = n > most[l] / 2 ? colours.card : colours.ink;
			c.fillText(n, x + w / 2, y + h / 2);
		}
	});
	const idle = loads[here].flatMap((row, l) => row.map((n, e) => n ? "" : layers[l] + "." + e)).filter(Boolean);
	const all = layers.length * experts;
	byId("balance").textContent = idle.length ? idle.length + " of " + all + " experts have not been chosen yet." : "All " + all + " experts have been chosen.";
};

const drawTimeline = () => grids.timeline.show({ rows: layers.flatMap(() => numbers), groups: layerNames, groupSize: experts,
	columns: tokens.map(t => shown(t.text).length > 13 ? shown(t.text).slice(0, 12) + "…" : shown(t.text)), upright: true,
	room: room(grids.timeline.canvas), least: 14, most: 26, height: experts > 64 ? 3 : experts > 16 ? 6 : 12,
	draw: (c, row, t, x, y, w, h) => expert(c, t, Math.floor(row / experts), row % experts, x, y, w, h, 0.6) });

// markTimeline marks this token on the timeline, and scrolls to it.
const markTimeline = () => {
	const grid = grids.timeline, box = grid.canvas.parentElement, x = grid.left + here * grid.w;
	grid.mark({ column: here });
	if (x < box.scrollLeft + grid.left || x > box.scrollLeft + box.clientWidth - 40) box.scrollLeft = x - box.clientWidth / 2;
};

const chips = tokens.map((token, t) => {
	const b = document.createElement("button");
	b.type = "button";
	b.textContent = shown(token.text) || "∅";
	b.title = "token " + token.id + " at position " + t + (t >= prompt ? ", generated" : "");
	b.addEventListener("click", () => { stop(); go(t); });
	byId("tokens").append(b);
	return b;
});

const drawLayers = () => {
	byId("layers").replaceChildren(...layers.flatMap((number, l) => {
		const dt = document.createElement("dt"), dd = document.createElement("dd"), h = entropy(probabilities[here][l]);
		dt.textContent = "layer " + number;
		dd.textContent = chosen[here][l].map(([e, w]) => "expert " + e + " × " + w.toFixed(3)).join(" + ") + "; entropy " + h.toFixed(2) + ", like " + Math.exp(h).toFixed(1) + " equal ones";
		return [dt, dd];
	}));
};

const go = t => {
	here = Math.max(0, Math.min(tokens.length - 1, t));
	drawNow();
	drawLoad();
	drawLayers();
	markTimeline();
	chips.forEach((b, i) => { b.className = (i === here ? "here" : i < here ? "past" : "") + (i >= prompt ? " generated" : ""); });
	const box = byId("tokens"), chip = chips[here];
	if (chip.offsetTop < box.scrollTop + box.offsetTop || chip.offsetTop + chip.offsetHeight > box.scrollTop + box.offsetTop + box.clientHeight) box.scrollTop = chip.offsetTop - box.offsetTop - 20;
	byId("where").textContent = "token " + (here + 1) + " of " + tokens.length;
};

const stop = () => {
	clearInterval(timer);
	timer = 0;
	byId("play").textContent = "▶\uFE0E play";
};
const play = () => {
	if (timer) return stop();
	if (here === tokens.length - 1) go(0);
	byId("play").textContent = "⏸\uFE0E pause";
	timer = setInterval(() => here === tokens.length - 1 ? stop() : go(here + 1), Number(byId("speed").value));
};
const actions = { first: () => go(0), back: () => go(here - 1), forth: () => go(here + 1), last: () => go(tokens.length - 1) };
for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", () => { stop(); act(); });
byId("play").addEventListener("click", play);
byId("speed").addEventListener("change", () => { if (timer) { stop(); play(); } });
const keys = { ArrowLeft: "back", ArrowRight: "forth", Home: "first", End: "last" };
document.addEventListener("keydown", e => {
	if (e.ctrlKey || e.altKey || e.metaKey || e.target.tagName === "SELECT") return;
	if (keys[e.key]) {
		stop();
		actions[keys[e.key]]();
	} else if (e.key === " " && e.target.tagName !== "BUTTON" && e.target.tagName !== "SUMMARY") {
		play();
	} else {
		return;
	}
	e.preventDefault();
});

const describe = ({ t, l, e }, counts) => {
	const p = probabilities[t][l], weight = weights[t][l].get(e);
	const rank = 1 + p.filter((v, i) => v > p[e] || v === p[e] && i < e).length;
	return "“" + shown(tokens[t].text) + "” at position " + t + "\nlayer " + layers[l] + ", expert " + e +
		(counts ? "\nchosen for " + loads[t][l][e] + " of " + (t + 1) + " tokens" :
			"\nprobability " + percent(p[e]) + ", rank " + rank + "\nlogit " + logits[t][l][e].toFixed(3) + "\n" + (weight === undefined ? "not chosen" : "chosen, weight " + weight.toFixed(4)));
};
const tip = byId("tip");
const point = (name, at, e) => {
	tip.hidden = !at;
	if (!at) return;
	const l = name === "timeline" ? Math.floor(at.row / experts) : at.row;
	tip.textContent = describe(name === "timeline" ? { t: at.column, l, e: at.row % experts } : { t: here, l, e: at.column }, name === "load");
	const right = e.clientX + 14 + tip.offsetWidth > innerWidth;
	tip.style.left = (right ? Math.max(4, e.clientX - 14 - tip.offsetWidth) : e.clientX + 14) + "px";
	tip.style.top = Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 4) + "px";
};
grids.timeline.canvas.addEventListener("click", e => {
	const t = Math.floor((e.offsetX - grids.timeline.left) / grids.timeline.w);
	if (t >= 0 && t < tokens.length) { stop(); go(t); }
});

const save = (name, type, text) => {
	const a = document.createElement("a");
	a.href = URL.createObjectURL(new Blob([text], { type }));
	a.download = name;
	a.click();
	setTimeout(() => URL.revokeObjectURL(a.href), 1000);
};
const quoted = text => '"' + text.replaceAll('"', '""') + '"';
byId("csv").addEventListener("click", () => {
	const lines = ["pos,token,text,layer,expert,logit,probability,weight"];
	tokens.forEach((token, t) => layers.forEach((number, l) => logits[t][l].forEach((v, e) =>
		lines.push([t, token.id, quoted(token.text), number, e, v, probabilities[t][l][e].toFixed(6), weights[t][l].get(e) ?? ""].join(",")))));
	save("experts.csv", "text/csv", lines.join("\n") + "\n");
});
byId("json").addEventListener("click", () => save("experts.json", "application/json", JSON.stringify(tokens.flatMap((token, t) => layers.map((number, l) => ({
	pos: t, token: token.id, text: token.text, layer: number, experts: chosen[t][l].map(([id, weight]) => ({ id, weight })), entropy: entropy(probabilities[t][l]), logits: logits[t][l],
}))))));

const redraw = () => {
	drawTimeline();
	go(here);
};
redraw();
addEventListener("resize", redraw);
onColours(redraw);
