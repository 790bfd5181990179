"""All kinds of artifacts, each with the schema of its payload files, and the SQL views over them.

Vectors are FLOAT[]; ids are VARCHAR everywhere (data sets disagree on types); times are seconds since 1970 in UTC.
"""

from artifacts.kinds import Kind, Kinds, Payload
from core.stages.views import VIEWS

DATASET = Kind(
    name="dataset",
    schema_version=1,
    about="interactions with labels, split and warm flag; items; users",
    payloads=(
        Payload(
            path="interactions.parquet",
            format="parquet",
            view="interactions",
            columns={
                "row": "BIGINT",  # 0.. in time order, ties in input order; also the order of the file
                "user": "VARCHAR",
                "item": "VARCHAR",
                "user_index": "INTEGER",  # 0.., position in users.parquet
                "item_index": "INTEGER",  # 0.., position in items.parquet
                "rating": "DOUBLE",
                "label": "TINYINT",  # 1 if rating > threshold else 0
                "time": "BIGINT",
                "split": "VARCHAR",  # train, valid or test
                "warm": "BOOLEAN",  # user and item both occur in train
            },
        ),
        Payload(
            path="items.parquet",
            format="parquet",
            view="items",
            columns={
                "item": "VARCHAR",
                "item_index": "INTEGER",
                "title": "VARCHAR",  # never null: the id where there is no title
                "year": "INTEGER",  # null if unknown
                "categories": "VARCHAR[]",
                "description": "VARCHAR",  # empty if unknown
            },
        ),
        Payload(
            path="users.parquet",
            format="parquet",
            view="users",
            columns={
                "user": "VARCHAR",
                "user_index": "INTEGER",
                "train_rows": "BIGINT",
                "rows": "BIGINT",
            },
        ),
        Payload(path="report.json", format="json"),
    ),
)

KEYWORDS = Kind(
    name="keywords",
    schema_version=1,
    about="up to 10 keywords per item",
    payloads=(
        Payload(
            path="keywords.parquet",
            format="parquet",
            view="keywords",
            columns={"item": "VARCHAR", "item_index": "INTEGER", "keywords": "VARCHAR[]"},
        ),
    ),
)

TRACES = Kind(
    name="traces",
    schema_version=1,
    about="reasons with the right answer for some training rows",
    payloads=(
        Payload(
            path="traces.parquet",
            format="parquet",
            view="traces",
            columns={
                "row": "BIGINT",  # row of the dataset's interactions
                "user": "VARCHAR",
                "item": "VARCHAR",
                "split": "VARCHAR",
                "label": "TINYINT",
                "reason": "VARCHAR",  # without the leading "Yes." / "No."; empty unless status is ok
                "teacher": "VARCHAR",
                "tries": "INTEGER",
                "status": "VARCHAR",  # ok, malformed, refused or gave_up
            },
        ),
    ),
)

_VECTOR_COLUMNS = {"vector": "FLOAT[]"}
ENCODER = Kind(
    name="encoder",
    schema_version=1,
    about="a collaborative model: weights, user and item vectors, its own scorer",
    payloads=(
        Payload(
            path="encoder.json", format="json"
        ),  # encoder, dim, hyperparameters, best epoch, valid auc
        Payload(path="weights.safetensors", format="safetensors"),
        Payload(
            path="user_vectors.parquet",
            format="parquet",
            view="user_vectors",
            # trained: the user occurs in train, so the vector means something
            columns={
                "user": "VARCHAR",
                "user_index": "INTEGER",
                "trained": "BOOLEAN",
                **_VECTOR_COLUMNS,
            },
        ),
        Payload(
            path="item_vectors.parquet",
            format="parquet",
            view="item_vectors",
            columns={
                "item": "VARCHAR",
                "item_index": "INTEGER",
                "trained": "BOOLEAN",
                **_VECTOR_COLUMNS,
            },
        ),
        Payload(
            path="epochs.parquet",
            format="parquet",
            view="encoder_epochs",
            columns={
                "epoch": "INTEGER",
                "train_loss": "DOUBLE",
                "valid_auc": "DOUBLE",
                "seconds": "DOUBLE",
            },
        ),
        Payload(
            path="trials.parquet",  # of encode --search: every combination that was trained
            format="parquet",
            view="trials",
            columns={
                "trial": "INTEGER",  # 1.., in the order of the grid
                "encoder": "VARCHAR",
                "learning_rate": "DOUBLE",
                "dim": "INTEGER",
                "weight_decay": "DOUBLE",
                "status": "VARCHAR",  # done or diverged
                "epochs": "INTEGER",
                "best_epoch": "INTEGER",
                "valid_auc": "DOUBLE",  # of the best epoch; null if it diverged
                "valid_uauc": "DOUBLE",
                "seconds": "DOUBLE",
                "best": "BOOLEAN",  # the one whose weights the artifact holds
            },
            required=False,
        ),
    ),
)

_STEP_COLUMNS = {
    "stage": "VARCHAR",  # global, expert 0.., projector
    "step": "INTEGER",
    "loss": "DOUBLE",
    "rec_loss": "DOUBLE",
    "think_loss": "DOUBLE",
    "learning_rate": "DOUBLE",
    "gradient_norm": "DOUBLE",
    "tokens": "BIGINT",
    "seconds": "DOUBLE",
}
_VALIDATION_COLUMNS = {
    "stage": "VARCHAR",
    "step": "INTEGER",
    "auc": "DOUBLE",
    "uauc": "DOUBLE",
    "log_loss": "DOUBLE",
    "rows": "BIGINT",
    "best": "BOOLEAN",
}

ADAPTER = Kind(
    name="adapter",
    schema_version=1,
    about="the global LoRA: a PEFT directory, with its prompt contract and losses",
    payloads=(
        Payload(path="best", format="folder"),  # PEFT directory of the best validation; soft prompt
        Payload(path="last", format="folder"),  # PEFT directory of the last step
        Payload(
            path="contract.json", format="json"
        ),  # base model digest, prompt style, answer token ids
        Payload(
            path="steps.parquet", format="parquet", view="training_steps", columns=_STEP_COLUMNS
        ),
        Payload(
            path="validations.parquet",
            format="parquet",
            view="validations",
            columns=_VALIDATION_COLUMNS,
        ),
    ),
)

GROUPS = Kind(
    name="groups",
    schema_version=1,
    about="user groups, their centroids, Cohen's d, a picture",
    payloads=(
        Payload(
            path="groups.parquet",
            format="parquet",
            view="groups",
            columns={
                "user": "VARCHAR",
                "user_index": "INTEGER",
                "group": "INTEGER",
                "x": "DOUBLE",
                "y": "DOUBLE",
            },
        ),
        Payload(
            path="representations.parquet",  # E_g: mean user vector of the group, equation (8)
            format="parquet",
            view="representations",
            columns={"group": "INTEGER", "users": "BIGINT", "vector": "FLOAT[]"},
        ),
        Payload(path="summary.json", format="json"),  # method, k, silhouettes, cohens_d
        Payload(path="picture.svg", format="text"),
    ),
)

EXPERTS = Kind(
    name="experts",
    schema_version=2,
    about="one LoRA per group: PEFT directories",
    payloads=(
        Payload(
            path="experts", format="folder"
        ),  # experts/0, experts/1, ...: complete PEFT directories
        Payload(path="contract.json", format="json"),
        Payload(
            path="representations.parquet",
            format="parquet",
            columns={
                "group": "INTEGER",
                "users": "BIGINT",
                "vector": "FLOAT[]",
                "offset": "DOUBLE",  # centres the expert's scores on the adapter it started from
            },
        ),
        Payload(path="steps.parquet", format="parquet", view="expert_steps", columns=_STEP_COLUMNS),
        Payload(
            path="validations.parquet",
            format="parquet",
            view="expert_validations",
            columns=_VALIDATION_COLUMNS,
        ),
    ),
)

MODEL = Kind(
    name="model",
    schema_version=2,  # in version 1 users and items without train rows had vectors before the projector, too
    about="the fused model: weights and route per user, projector",
    payloads=(
        Payload(
            path="weights.parquet",
            format="parquet",
            view="weights",
            columns={
                "user": "VARCHAR",
                "user_index": "INTEGER",
                "route": "VARCHAR",  # concentrated, averaged, fused or cold; global without experts
                "expert": "INTEGER",  # the one expert of a concentrated user, else null
                "entropy": "DOUBLE",
                "weights": "FLOAT[]",  # one per expert, equation (8); empty for a cold user and without experts
            },
        ),
        Payload(
            path="fusion.json", format="json"
        ),  # fusion, tau, number of experts, offsets, users per route, projector
        Payload(path="projector.safetensors", format="safetensors", required=False),
        Payload(
            path="steps.parquet",
            format="parquet",
            view="projector_steps",
            columns=_STEP_COLUMNS,
            required=False,
        ),
        Payload(
            path="validations.parquet",
            format="parquet",
            view="projector_validations",
            columns=_VALIDATION_COLUMNS,
            required=False,
        ),
    ),
)

SCORES = Kind(
    name="scores",
    schema_version=1,
    about="P(yes) for pairs of user and item",
    payloads=(
        Payload(
            path="scores.parquet",
            format="parquet",
            view="scores",
            columns={
                "row": "BIGINT",  # row of the dataset, null for pairs that are not in it
                "user": "VARCHAR",
                "item": "VARCHAR",
                "label": "TINYINT",  # null if unknown
                "score": "DOUBLE",  # the relevance score s (a logit)
                "probability": "DOUBLE",  # sigmoid(s)
                "yes_logit": "DOUBLE",  # with what centres the experts; null for encoders
                "no_logit": "DOUBLE",
                "route": "VARCHAR",  # route of the gate, global without experts, null for encoders and adapters
                "rank": "INTEGER",  # 1.. within the user, by score
            },
        ),
        Payload(
            path="scoring.json", format="json"
        ),  # scorer, what was asked, rows, seconds, machine, tokens
    ),
)

EXPLANATION = Kind(
    name="explanation",
    schema_version=1,
    about="an answer, its reason, and what moved the score",
    payloads=(
        Payload(path="explanation.json", format="json"),
        Payload(
            path="explanations.parquet",
            format="parquet",
            view="explanations",
            columns={
                "row": "BIGINT",  # row of the dataset where the pair is one, else null
                "user": "VARCHAR",
                "item": "VARCHAR",
                "answer": "VARCHAR",  # Yes or No
                "probability": "DOUBLE",
                "score": "DOUBLE",
                "reason": "VARCHAR",
                "reference": "VARCHAR",  # the teacher's reason for this row, null if there is none
                "route": "VARCHAR",
                "weights": "FLOAT[]",
            },
        ),
        Payload(
            path="influences.parquet",
            format="parquet",
            view="influences",
            columns={
                "user": "VARCHAR",
                "item": "VARCHAR",
                "position": "INTEGER",  # 0 is the oldest item shown
                "history_item": "VARCHAR",
                "title": "VARCHAR",
                "label": "TINYINT",
                "influence": "DOUBLE",  # score with the item minus score without it
            },
        ),
    ),
)

EVALUATION = Kind(
    name="evaluation",
    schema_version=4,  # before, draws were not spread for few users
    about="metrics with intervals, slices and comparisons",
    payloads=(
        Payload(
            path="metrics.parquet",
            format="parquet",
            view="metrics",
            columns={
                "scorer": "VARCHAR",  # reference of what scored or explained (else its scores), constant, recent, bias
                "scores": "VARCHAR",  # reference of the scores or explanation, null for constant, recent, bias
                "split": "VARCHAR",  # train, valid, test, mixed; pairs: of no split
                "slice": "VARCHAR",  # all, warm, cold, history=5-9, group=1 by groups/sasrec-2@1, ...
                "metric": "VARCHAR",  # auc, uauc, ndcg@5, ...; of reasons meteor, bleu, agreement, ...
                "value": "DOUBLE",  # null where it is not defined
                "low": "DOUBLE",  # 95 % interval, null where not computed
                "high": "DOUBLE",
                "rows": "BIGINT",
                "users": "BIGINT",  # users that count
                "users_left_out": "BIGINT",
            },
        ),
        Payload(
            path="comparisons.parquet",
            format="parquet",
            view="comparisons",
            required=False,  # not in schema version 1
            columns={
                "scorer": "VARCHAR",
                "other": "VARCHAR",  # every ordered pair of scorers on the same rows
                "scores": "VARCHAR",  # reference of the scores, null for constant, recent, bias
                "other_scores": "VARCHAR",
                "split": "VARCHAR",
                "slice": "VARCHAR",
                "metric": "VARCHAR",
                "difference": "DOUBLE",  # scorer minus other
                "low": "DOUBLE",  # 95 % interval by paired bootstrap over users
                "high": "DOUBLE",
                "p": "DOUBLE",  # two-sided, not corrected for the number of pairs
                "rows": "BIGINT",
                "users": "BIGINT",  # users that count
            },
        ),
        Payload(
            path="over_seeds.parquet",
            format="parquet",
            view="over_seeds",
            required=False,  # only where scorers differ in their seeds alone; not before schema version 3
            columns={
                "scorer": "VARCHAR",  # what they are called without their versions
                "scorers": "VARCHAR[]",  # their references
                "split": "VARCHAR",
                "slice": "VARCHAR",
                "metric": "VARCHAR",
                "mean": "DOUBLE",
                "sd": "DOUBLE",  # standard deviation of a sample: over one less than the scorers
                "least": "DOUBLE",
                "most": "DOUBLE",
                "other": "VARCHAR",  # what the report compares with, seed by seed; null where seeds do not match
                "difference": "DOUBLE",  # mean of scorer minus other
                "difference_sd": "DOUBLE",
            },
        ),
        Payload(path="report.md", format="text", required=False),
        Payload(path="report.html", format="text", required=False),
    ),
)

KINDS = Kinds(
    DATASET,
    KEYWORDS,
    TRACES,
    ENCODER,
    ADAPTER,
    GROUPS,
    EXPERTS,
    MODEL,
    SCORES,
    EXPLANATION,
    EVALUATION,
    views=VIEWS,
)
