// Builds the page from its data, waits for every picture, then checks every resource byte by byte.
import { showGallery } from "/modules/gallery.js";
import { showCharts } from "/modules/charts.js";
import { showStations } from "/modules/stations.js";
import { loadJson } from "/modules/load.js";
import { checkAll } from "/modules/checks.js";
import { report } from "/modules/report.js";

const pictures = [...document.images];
try {
  const [days, stations, manifest] = await Promise.all(
    ["/data/days.json", "/data/stations.json", "/manifest.json"].map(loadJson),
  );
  pictures.push(...showGallery(days), ...showCharts(days), document.querySelector("#photo"));
  showStations(stations);
  await Promise.all(pictures.map((picture) => picture.decode()));
  report(await checkAll(manifest), manifest);
} catch (error) {
  document.documentElement.dataset.failed = String(error);
  throw error;
}
