// <div data-chart="line|bar" data-source="id of a json_script"></div>
//
// The data: {"labels": [...], "series": [{"name": "...", "data": [...], "color"?: "success|danger|…"}], "stacked"?: true}
