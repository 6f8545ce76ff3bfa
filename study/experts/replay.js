const trace = JSON.parse(document.getElementById("trace").textContent);
const { tokens, layers, experts, chosen, logits, scoring, prompt } = trace;
const byId = id => document.getElementById(id);
const shown = text => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥");
const percent = p => (100 * p).toFixed(p < 0.0995 ? 2 : 1) + " %";

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

let here = 0, timer = 0, colours;

// A picture on a canvas: its cells are found again under the pointer.
class Picture {
	constructor(id) {
		this.canvas = byId(id);
		this.cells = null;
	}
	begin(width, height) {
		// Browsers draw nothing on a canvas that has too many pixels on a side, or in all.
		const sharp = Math.min(devicePixelRatio || 1, 32000 / width, 32000 / height, Math.sqrt(2e7 / (width * height)));
		this.canvas.width = Math.ceil(width * sharp);
		this.canvas.height = Math.ceil(height * sharp);
		this.canvas.style.width = width + "px";
		this.canvas.style.height = height + "px";
		const c = this.canvas.getContext("2d");
		c.scale(sharp, sharp);
		c.font = "12px system-ui, sans-serif";
		c.textBaseline = "middle";
		return c;
	}
	room() { return Math.max(240, this.canvas.parentElement.clientWidth); }
}
const now = new Picture("now"), load = new Picture("load"), tape = new Picture("tape");

const cell = (c, x, y, w, h, colour, opacity) => {
	c.globalAlpha = opacity;
	c.fillStyle = colour;
	const gap = w > 5 && h > 5 ? 1 : 0;
	c.beginPath();
	c.roundRect(x, y, w - gap, h - gap, gap && Math.min(w, h) > 10 ? 2 : 0);
	c.fill();
	c.globalAlpha = 1;
};

// A grid of layers and experts; draw fills a cell.
const grid = (picture, draw) => {
	const left = 62, top = 22;
	const w = Math.max(7, Math.min(46, (picture.room() - left - 3) / experts)), h = layers.length > 16 ? 16 : 24;
	const c = picture.begin(left + w * experts + 2, top + h * layers.length + 2);
	c.fillStyle = colours.quiet;
	c.textAlign = "center";
	const every = Math.ceil(26 / w);
	for (let e = 0; e < experts; e += every) c.fillText(e, left + (e + 0.5) * w, 10);
	layers.forEach((number, l) => {
		c.fillStyle = colours.quiet;
		c.textAlign = "right";
		c.fillText("layer " + number, left - 8, top + (l + 0.5) * h);
		c.textAlign = "center";
		for (let e = 0; e < experts; e++) draw(c, l, e, left + e * w, top + l * h, w, h);
	});
	picture.cells = (x, y) => {
		const e = Math.floor((x - left) / w), l = Math.floor((y - top) / h);
		return e >= 0 && e < experts && l >= 0 && l < layers.length ? { t: here, l, e } : null;
	};
};

const drawNow = () => grid(now, (c, l, e, x, y, w, h) => {
	const weight = weights[here][l].get(e), p = probabilities[here][l][e];
	if (weight === undefined) {
		cell(c, x, y, w, h, colours.ink, 0.05);
		cell(c, x, y, w, h, colours.cold, 0.75 * p);
		return;
	}
	cell(c, x, y, w, h, colours.warm, 0.3 + 0.7 * Math.max(0, weight) / heaviest[l]);
	if (w > 30) {
		c.fillStyle = weight > 0.4 * heaviest[l] ? colours.card : colours.ink;
		c.fillText(weight.toFixed(2), x + w / 2, y + h / 2);
	}
});

const drawLoad = () => {
	const most = layers.map((_, l) => Math.max(...loads[here][l]));
	grid(load, (c, l, e, x, y, w, h) => {
		const n = loads[here][l][e];
		cell(c, x, y, w, h, colours.ink, 0.05);
		if (n > 0) cell(c, x, y, w, h, colours.good, 0.15 + 0.85 * n / most[l]);
		if (w > 24 && n > 0) {
			c.fillStyle = n > most[l] / 2 ? colours.card : colours.ink;
			c.fillText(n, x + w / 2, y + h / 2);
		}
	});
	const idle = loads[here].flatMap((row, l) => row.map((n, e) => n ? "" : layers[l] + "." + e)).filter(Boolean);
	const all = layers.length * experts;
	byId("balance").textContent = idle.length ? idle.length + " of " + all + " experts have not been chosen yet." : "All " + all + " experts have been chosen.";
};

let tapeImage = null;
const tapeShape = {};
const drawTape = () => {
	const left = 78, gap = 10;
	const w = Math.max(14, Math.min(26, (tape.room() - left - 5) / tokens.length)), h = experts > 64 ? 3 : experts > 16 ? 6 : 12;
	const longest = Math.min(90, Math.max(...tokens.map(t => 7 * shown(t.text).length)));
	const top = 14 + longest, block = experts * h + gap;
	const c = tape.begin(left + w * tokens.length + 4, top + block * layers.length);
	Object.assign(tapeShape, { left, top, w, height: block * layers.length - gap });
	c.fillStyle = colours.quiet;
	tokens.forEach((token, t) => {
		c.save();
		c.translate(left + (t + 0.5) * w, top - 6);
		c.rotate(-Math.PI / 2);
		c.textAlign = "left";
		const text = shown(token.text);
		c.fillText(text.length > 13 ? text.slice(0, 12) + "…" : text, 0, 0);
		c.restore();
	});
	layers.forEach((number, l) => {
		const y0 = top + l * block;
		c.fillStyle = colours.quiet;
		c.textAlign = "right";
		c.fillText("layer " + number, left - 24, y0 + experts * h / 2);
		c.font = "10px system-ui, sans-serif";
		for (let e = 0; e < experts; e += Math.ceil(12 / h)) c.fillText(e, left - 6, y0 + (e + 0.5) * h);
		c.font = "12px system-ui, sans-serif";
		tokens.forEach((_, t) => {
			for (let e = 0; e < experts; e++) {
				const weight = weights[t][l].get(e), x = left + t * w, y = y0 + e * h;
				if (weight === undefined) {
					cell(c, x, y, w, h, colours.ink, 0.04);
					cell(c, x, y, w, h, colours.cold, 0.6 * probabilities[t][l][e]);
				} else {
					cell(c, x, y, w, h, colours.warm, 0.3 + 0.7 * Math.max(0, weight) / heaviest[l]);
				}
			}
		});
	});
	tapeImage = c.getImageData(0, 0, tape.canvas.width, tape.canvas.height);
	tape.cells = (x, y) => {
		const t = Math.floor((x - left) / w), l = Math.floor((y - top) / block), e = Math.floor((y - top - l * block) / h);
		return t >= 0 && t < tokens.length && l >= 0 && l < layers.length && e >= 0 && e < experts ? { t, l, e } : null;
	};
};

// The mark of this token on the tape.
const markTape = () => {
	const c = tape.canvas.getContext("2d");
	c.putImageData(tapeImage, 0, 0);
	c.strokeStyle = colours.ink;
	c.lineWidth = 1.5;
	c.strokeRect(tapeShape.left + here * tapeShape.w - 1, tapeShape.top - 2, tapeShape.w + 1, tapeShape.height + 4);
	const box = tape.canvas.parentElement, x = tapeShape.left + here * tapeShape.w;
	if (x < box.scrollLeft + tapeShape.left || x > box.scrollLeft + box.clientWidth - 40) box.scrollLeft = x - box.clientWidth / 2;
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
	markTape();
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
for (const picture of [now, load, tape]) {
	picture.canvas.addEventListener("pointermove", e => {
		const at = picture.cells(e.offsetX, e.offsetY);
		tip.hidden = !at;
		if (!at) return;
		tip.textContent = describe(at, picture === load);
		const right = e.clientX + 14 + tip.offsetWidth > innerWidth;
		tip.style.left = (right ? Math.max(4, e.clientX - 14 - tip.offsetWidth) : e.clientX + 14) + "px";
		tip.style.top = Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 4) + "px";
	});
	picture.canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
}
tape.canvas.addEventListener("click", e => {
	const t = Math.floor((e.offsetX - tapeShape.left) / tapeShape.w);
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
	const style = getComputedStyle(document.documentElement), of = name => style.getPropertyValue(name).trim();
	colours = { ink: of("--ink"), quiet: of("--quiet"), card: of("--card"), cold: of("--s0"), warm: of("--s1"), good: of("--s2") };
	drawTape();
	go(here);
};
redraw();
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
