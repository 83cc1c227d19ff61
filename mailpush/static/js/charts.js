// <div data-chart="line|bar" data-source="id of a json_script"></div>
//
// The data: {"labels": ["06-01", …], "series": [{"name": "Delivered", "data": [12, …], "color": "success"}], "stacked": true}
// `color` is one of Bootstrap's words and may be left out, `stacked` too. The page gives the same figures as a table.

const CHARTS = "[data-chart]";
const ORDER = ["primary", "success", "warning", "danger", "info", "secondary"];
const drawn = new Map();
let library;

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector("meta[name=echarts]").content;
    script.onload = () => resolve(window.echarts);
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}

// ECharts draws on a canvas and reads no CSS: ask the browser what a colour comes to.
function colour(element, value) {
  const probe = document.createElement("span");
  probe.style.color = value;
  element.append(probe);
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(probe).color;
  canvas.fillRect(0, 0, 1, 1);
  probe.remove();
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  return `rgba(${red}, ${green}, ${blue}, ${alpha / 255})`;
}

function options(element, { labels, series, stacked }) {
  const ink = (word) => colour(element, `var(--tblr-${word})`);
  const kind = element.dataset.chart;
  const muted = ink("secondary-color");
  const line = ink("border-color");
  return {
    aria: { enabled: true },
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    color: series.map((one, index) => ink(one.color ?? ORDER[index % ORDER.length])),
    grid: { left: 8, right: 16, top: 40, bottom: 8, containLabel: true },
    legend: { top: 0, left: 0, icon: "circle", itemWidth: 8, itemHeight: 8, textStyle: { color: muted } },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: kind === "bar" ? "shadow" : "line", lineStyle: { color: line } },
      backgroundColor: ink("bg-surface"),
      borderColor: line,
      textStyle: { color: ink("body-color"), fontSize: 13 },
      valueFormatter: (value) => Number(value).toLocaleString(document.documentElement.lang),
    },
    xAxis: {
      type: "category",
      data: labels,
      boundaryGap: kind === "bar",
      axisTick: { show: false },
      axisLine: { lineStyle: { color: line } },
      axisLabel: { color: muted, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      axisLabel: { color: muted },
      splitLine: { lineStyle: { color: line, type: [4, 4] } },
    },
    series: series.map(({ name, data }) => ({
      name,
      data,
      type: kind,
      stack: stacked ? "all" : undefined,
      showSymbol: labels.length === 1,
      smooth: 0.25,
      lineStyle: { width: 2 },
      areaStyle: kind === "line" ? { opacity: stacked ? 0.5 : 0.08 } : undefined,
      barMaxWidth: 28,
      itemStyle: kind === "bar" ? { borderRadius: stacked ? 0 : [4, 4, 0, 0] } : undefined,
      emphasis: { focus: "series" },
    })),
  };
}

async function draw(element) {
  const source = document.getElementById(element.dataset.source);
  if (!source) return;
  const echarts = await load();
  const chart = echarts.getInstanceByDom(element) ?? echarts.init(element);
  chart.setOption(options(element, JSON.parse(source.textContent)), true);
  if (!drawn.has(element)) {
    const watch = new ResizeObserver(() => chart.resize());
    watch.observe(element);
    drawn.set(element, () => {
      watch.disconnect();
      chart.dispose();
    });
  }
}

function drawAll(root) {
  for (const [element, forget] of drawn) {
    if (element.isConnected) continue; // swapped out by htmx
    forget();
    drawn.delete(element);
  }
  if (root.matches?.(CHARTS)) draw(root);
  for (const element of root.querySelectorAll(CHARTS)) draw(element);
}

drawAll(document);
document.addEventListener("htmx:load", (event) => drawAll(event.detail.elt));
document.documentElement.addEventListener("mailpush:theme", () => drawAll(document));
