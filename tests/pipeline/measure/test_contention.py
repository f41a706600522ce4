import os
import subprocess
import sys
import time

import psutil
import pytest

from pipeline.measure import contention
from pipeline.measure.contention import Elsewhere, settle

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
WORK = "import time\nwhile time.process_time() < 0.3: pass"


def test_what_other_processes_and_the_hypervisor_did_is_counted_and_what_we_did_is_not(tmp_path, monkeypatch):
    hz = os.sysconf("SC_CLK_TCK")
    path = tmp_path / "stat"
    #             user nice system idle iowait irq softirq steal guest guest_nice
    path.write_text(f"cpu  {900 * hz} {80 * hz} {7 * hz} 55555 4444 {6 * hz} {5 * hz} {400 * hz} 33 22\ncpu0 1 2 3\n")
    monkeypatch.setattr(contention, "STAT", path)
    ours = [psutil.Process(pid).cpu_times() for pid in (os.getpid(), os.getppid())]
    expected = 900 + 80 + 7 + 6 + 5 + 400 - sum(times.user + times.system for times in ours)
    assert contention._others_s() == pytest.approx(expected, abs=0.2)


def test_a_process_beside_us_keeps_a_part_of_a_core_busy():
    began, elsewhere = time.monotonic(), Elsewhere()
    subprocess.run([sys.executable, "-c", WORK], check=True)
    assert elsewhere.cores * (time.monotonic() - began) > 0.2


def test_nothing_is_claimed_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(contention, "STAT", tmp_path / "absent")
    assert Elsewhere().cores is None


def test_waiting_ends_when_the_processor_is_quiet_or_after_a_while(tmp_path, monkeypatch):
    windows = []
    monkeypatch.setattr(contention, "_others_s", lambda: windows.append(None) or 10.0 * len(windows))
    settle(0.5)
    assert 2 <= len(windows) / 2 <= 3
    monkeypatch.setattr(contention, "_others_s", lambda: windows.append(None) or 10.0)
    windows.clear()
    settle(1e9)
    assert len(windows) == 2
