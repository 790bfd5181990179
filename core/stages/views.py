"""SQL views that join the payloads of several kinds.

Each is there twice, as views of payloads are: of the latest version of every name, and with `_all` of every version.
"""

# One line per scored pair, with the words a person reads: titles of the very data set that was scored.
_SCORED_ITEMS = (
    "select s.*, i.title, i.categories, i.year from scores{all} s "
    "left join lineage l on l.child = s.artifact and l.input = 'dataset' "
    "left join items_all i on i.artifact = l.parent and i.item = s.item"
)
# Explanations with the weights of the very model that gave them. Who is cold may be another than the one of his id
# whom the model knows.
_EXPLAINED_SCORES = (
    "select e.artifact, e.user, e.item, i.title, e.answer, e.probability, e.reason, e.route, w.weights "
    "from explanations{all} e "
    "left join lineage d on d.child = e.artifact and d.input = 'dataset' "
    "left join items_all i on i.artifact = d.parent and i.item = e.item "
    "left join lineage m on m.child = e.artifact and m.input = 'scorer' "
    "left join weights_all w on w.artifact = m.parent and w.user = e.user and e.route <> 'cold'"
)

VIEWS = {
    name + suffix: text.format(all=suffix)
    for name, text in (("scored_items", _SCORED_ITEMS), ("explained_scores", _EXPLAINED_SCORES))
    for suffix in ("", "_all")
}
