"""The link to its image that Airflow shows at a task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.compat import BaseOperatorLink, XCom
from ecr_docker_operator.console import find_page

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


class EcrImageLink(BaseOperatorLink):
    """Link to the page of a task's image in the AWS console, or in the Amazon ECR Public Gallery.

    Where an image is, only the task knows, once its templates are rendered. Airflow 3 asks it when it has ended, also
    when it has failed, and stores the answer as an XCom. Airflow 2 asks its webserver, where nothing is rendered. For
    that, and for as long as the task runs, it stores its link by itself, in the same place.
    """

    name = "Amazon ECR image"
    xcom_key = "_link_EcrImageLink"
    """Key of the XCom, which is what Airflow 3 calls it by default."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL; empty if the image is not on Amazon ECR, or AWS has published no page for it."""
        # What Airflow 2's webserver has of an operator has no hook.
        if hasattr(type(operator), "hook"):
            return _find_link(operator)
        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""

    def store(self, operator: Any, context: Context) -> None:
        """Store the link for the task whose *context* it is, as far as there is one."""
        link = _find_link(operator)
        if not link:
            return
        try:
            context["ti"].xcom_push(key=self.xcom_key, value=link)
        except Exception as error:  # noqa: BLE001 - no task is to fail for a link
            log.warning("%s: its link is not stored: %r", operator.image, error)


def _find_link(operator: Any) -> str:
    try:
        registry = operator.hook.registry  # which gives the image its full name, too
    except Exception as error:  # noqa: BLE001 - the task fails of it, and says so better
        log.debug("%s: no link: %r", operator.image, error)
        return ""
    return (registry and find_page(operator.image, registry)) or ""
