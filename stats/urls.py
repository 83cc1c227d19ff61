"""Addresses of the overview and the statistics, below `/console/`."""

from django.urls import path

from stats.api import statistics as statistics_api
from stats.views import overview, statistics

app_name = "stats"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("running/", overview.running, name="overview-running"),
    path("statistics/", statistics.statistics, name="statistics"),
    path("statistics/days.csv", statistics.export, name="statistics-export"),
]

api_urls = [
    path("statistics", statistics_api.StatisticsView.as_view()),
]
