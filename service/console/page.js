// The plain page: lists the models and sends one example that can be edited.

const FRAMES = 12;
const EXAMPLE_FRAMES = 25;
const HORIZON = 10;
const SHOWN_PAIRS = 50;
const cards = new Map();
let bundled = null; // a recording whose truth is known, for one of the models
const find = (id) => document.getElementById(id);

function row(cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const item = document.createElement("td");
    if (typeof cell === "number") item.className = "number";
    item.textContent = String(cell);
    line.append(item);
  }
  return line;
}

// Give entities that move evenly inside the middle of the range that the model was trained on.
function exampleValues(card, positions) {
  const entities = Math.max(2, card.trained.min_entities);
  const speed = 0.02;
  return Array.from({ length: FRAMES }, (_, frame) =>
    Array.from({ length: entities }, (_, entity) =>
      positions.map((feature, axis) => {
        const middle = (feature.minimum + feature.maximum) / 2;
        const reach = (feature.maximum - feature.minimum) / 4;
        const angle = (2 * Math.PI * entity) / entities + (axis * Math.PI) / 2;
        const value = middle + reach * Math.cos(angle) * (1 - speed * frame);
        return Number(value.toPrecision(5));
      }),
    ),
  );
}

function exampleTrajectory(card) {
  if (bundled?.model === card.name) {
    return { ...bundled.trajectory, values: bundled.trajectory.values.slice(0, EXAMPLE_FRAMES) };
  }
  // Positions are enough where velocities follow from them; else there is nothing honest to send.
  const positions = card.features.filter((feature) => feature.kind === "position");
  const values = exampleValues(card, positions);
  return {
    entities: values[0].map((_, index) => `e${index + 1}`),
    features: positions.map((feature) => feature.name),
    frame_rate: card.frame_rate,
    values,
  };
}

function exampleBody(card, call) {
  const trajectory = exampleTrajectory(card);
  const model = `${card.name}@${card.version}`;
  return call === "/forecast"
    ? { model, trajectory, horizon: HORIZON, num_samples: 16, seed: 1 }
    : { model, estimator: "posterior", trajectory };
}

// One line per frame: readable, and small enough to edit.
function written(body) {
  const { trajectory, ...rest } = body;
  const { values, ...head } = trajectory;
  const frames = values.map((frame) => `      ${JSON.stringify(frame)}`).join(",\n");
  const inner = JSON.stringify(head).slice(1, -1);
  const outer = JSON.stringify(rest).slice(1, -1);
  return `{${outer},\n  "trajectory": {${inner},\n    "values": [\n${frames}]}}`;
}

function showAbout() {
  const known = bundled?.model === find("model").value;
  find("about").textContent = known
    ? bundled.about
    : "Made-up entities that move evenly: only to show the form of a request.";
}

function showExample() {
  const card = cards.get(find("model").value);
  if (card) find("body").value = written(exampleBody(card, find("call").value));
  showAbout();
  showCommand();
}

function showCommand() {
  const quoted = find("body").value.replaceAll("'", "'\\''");
  find("command").textContent =
    `curl -s ${location.origin}${find("call").value} \\\n` +
    `  -H 'Content-Type: application/json' -d '${quoted}'`;
}

// Give each pair's surest relation over all frames; type `none_type` is no relation.
function strongest(relations) {
  const best = new Map();
  relations.probabilities.forEach((frame, at) => {
    frame.forEach((row, pair) => {
      row?.forEach((p, type) => {
        if (type === relations.none_type) return;
        if (!best.has(pair) || p > best.get(pair).p) {
          best.set(pair, { p, type, frame: relations.frames[at] });
        }
      });
    });
  });
  return [...best].sort(([, a], [, b]) => b.p - a.p).slice(0, SHOWN_PAIRS);
}

function showRelations(relations) {
  const table = find("relations");
  const lines = strongest(relations).map(([pair, { p, type, frame }]) =>
    row([
      relations.sources[pair],
      relations.targets[pair],
      relations.relation_types[type],
      Number(p.toFixed(3)),
      frame,
    ]),
  );
  table.caption.textContent = `Estimator: ${relations.estimator}. Surest first.`;
  table.tBodies[0].replaceChildren(...lines);
  table.hidden = false;
}

function showOutcome(text, failed) {
  const outcome = find("outcome");
  outcome.textContent = text;
  outcome.classList.toggle("failed", failed);
}

async function send(event) {
  event.preventDefault();
  find("send").disabled = true;
  find("relations").hidden = true;
  showOutcome("Sent…", false);
  try {
    const started = performance.now();
    const response = await fetch(find("call").value, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: find("body").value,
    });
    const answer = await response.json();
    const ms = Math.round(performance.now() - started);
    find("answer").textContent = JSON.stringify(answer, null, 1);
    find("answer-box").hidden = false;
    if (response.ok) {
      showOutcome(`Answered in ${ms} ms by ${answer.model.name}@${answer.model.version}.`, false);
      const relations = answer.relations ?? answer;
      if (relations.probabilities) showRelations(relations);
    } else {
      showOutcome(`${answer.title}: ${answer.detail}. ${answer.fix ?? ""}`, true);
    }
  } catch (error) {
    showOutcome(`No answer: ${error.message}`, true);
  } finally {
    find("send").disabled = false;
  }
}

function modelRow(model, card) {
  const others = model.versions.filter((version) => version !== card.version);
  const refused = model.refused.map((item) => `${item.version} (refused)`);
  const { min_entities: least, max_entities: most } = card.trained;
  return row([
    card.name,
    card.version,
    card.relation_types.join(", "),
    card.features.map((feature) => `${feature.name} [${feature.unit}]`).join(", "),
    card.frame_rate,
    least === most ? least : `${least} to ${most}`,
    [...others, ...refused].join(", ") || "none",
  ]);
}

async function loadExample() {
  const response = await fetch("/console/example.json");
  if (response.ok) bundled = await response.json();
}

async function loadModels() {
  const { models } = await (await fetch("/v1/models")).json();
  const lines = [];
  for (const model of models) {
    const { champion } = await (await fetch(`/v1/models/${model.name}`)).json();
    if (!champion) continue;
    cards.set(model.name, champion);
    lines.push(modelRow(model, champion));
    find("model").append(new Option(model.name, model.name));
  }
  find("models").tBodies[0].replaceChildren(...lines);
  find("models").hidden = lines.length === 0;
  find("models-note").textContent = lines.length === 0 ? "No model can be served." : "";
}

find("model").addEventListener("change", showExample);
find("call").addEventListener("change", showExample);
find("body").addEventListener("input", showCommand);
find("try").addEventListener("submit", send);
try {
  await Promise.all([loadModels(), loadExample()]);
  showExample();
} catch (error) {
  find("models-note").textContent = `The models cannot be listed: ${error.message}`;
}
