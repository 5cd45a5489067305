"""What starts runs: schedules, sensors, events of pipelines; and what runs set off: alerts, anomalies."""
