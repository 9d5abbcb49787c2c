"""The link to its image that Airflow shows at a task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.compat import BaseOperatorLink, XCom
from ecr_docker_operator.ecr.console_url import console_url

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


class EcrImageLink(BaseOperatorLink):
    """Link to the page of a task's image in the AWS console, or in the Amazon ECR Public Gallery.

    Only the task knows where its image is, once its templates are rendered. Airflow 3 asks the task when it has ended,
    also when it has failed, and stores the answer as an XCom. Airflow 2 asks its webserver, where nothing is rendered.
    For that, and while the task runs, the task stores its link by itself, in the same place.
    """

    name = "Amazon ECR image"
    xcom_key = "_link_EcrImageLink"
    """Key of the XCom; the one that Airflow 3 uses by default."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL; empty if the image is not on Amazon ECR, or AWS has published no page for it."""
        # Airflow 2's webserver has a serialized operator, of another class.
        if hasattr(type(operator), "resolve_image"):
            return _find_link(operator)
        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""

    def store(self, operator: Any, context: Context) -> None:
        """Store the link for the task whose *context* it is, if there is one."""
        link = _find_link(operator)
        if not link:
            return
        try:
            context["ti"].xcom_push(key=self.xcom_key, value=link)
        except Exception as error:  # noqa: BLE001 - a link must not fail the task
            log.warning("%s: its link is not stored: %r", operator.image, error)


def _find_link(operator: Any) -> str:
    try:
        image, registry = operator.resolve_image()
    except Exception as error:  # noqa: BLE001 - the task fails with it, and says more
        log.debug("%s: no link: %r", operator.image, error)
        return ""
    return (registry and console_url(image, registry)) or ""
