"""What a person is asked at once: the plan, and the questions that are open, less what was settled before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from dataplatform.auto_dw.build import followed
from dataplatform.auto_dw.build.plans import Plan, planned
from dataplatform.auto_dw.said import outcome, people
from dataplatform.auto_dw.said.outcome import Judged
from dataplatform.auto_dw.said.people import Question
from dataplatform.auto_dw.workspace import Workspace

MOST = 20  # questions of a form
QUIET = frozenset({"column_role"})  # kinds of questions that wait until there is something else to ask


@dataclass(frozen=True)
class Proposal:
    """`questions` and `changes` are all there are, by the words that they are settled under."""

    shape: str
    judged: Judged
    plan: Plan
    questions: Mapping[str, Question]
    changes: frozenset[str]
    settled: frozenset[str]

    @property
    def new(self) -> frozenset[str]:
        """What nobody has been asked yet."""
        return (self.changes | self.questions.keys()) - self.settled

    @property
    def asked(self) -> tuple[Question, ...]:
        """The questions of a form: the most important of those that are new."""
        return tuple(q for name, q in self.questions.items() if name not in self.settled)[:MOST]

    @property
    def matters(self) -> bool:
        """Whether there is anything new for which a person is bothered."""
        loud = {name for name, question in self.questions.items() if question.kind not in QUIET}
        return bool(self.new & (self.changes | loud))

    @property
    def only_adds(self) -> bool:
        """Whether the plan adds models, and leaves those that are there as they are."""
        return bool(self.plan.added) and not self.plan.changed and not self.plan.removed

    @property
    def still_settled(self) -> frozenset[str]:
        """What is settled, and not gone meanwhile."""
        return self.settled & (self.changes | self.questions.keys())


def propose(workspace: Workspace) -> Proposal:
    """Evaluates what changed and plans; keeps what was seen, writes nothing else."""
    shape = followed.shape(
        workspace.engine, workspace.schema
    )  # first: what comes meanwhile is looked at again
    judged = outcome.judge_and_keep(workspace)
    plan = planned(workspace, judged)
    questions = {name_of(q): q for q in people.questions(judged.profiles, judged.evaluation)}
    settled = followed.of(workspace.engine, workspace.schema).settled
    return Proposal(shape, judged, plan, questions, _changes(plan), settled)


def name_of(question: Question) -> str:
    """`role orders`, `column_role orders.status`: what the question is called in a form, and settled under."""
    return f"{question.kind} {question.table}{'.' if question.column else ''}{question.column}"


def _changes(plan: Plan) -> frozenset[str]:
    return frozenset(f"{path} {_digest(text)}" for path, text in plan.after.items())


def _digest(text: str | None) -> str:
    return "gone" if text is None else hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
