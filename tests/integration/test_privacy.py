"""Personal data stay where they belong: no log line of a whole day names a patient, a password or a token."""

from pathlib import Path

from tests.fixtures.desk import PASSWORD, desk_at
from tests.fixtures.house import ADMIN, GENEROUS, running
from tests.fixtures.specimens import person
from tests.fixtures.visitors import CLEAN, card, new_nik

NAME = "RAHMAWATI SANGAT KHUSUS"


async def test_nothing_that_was_printed_names_anybody(tmp_path: Path) -> None:
    nik, wrong_nik, holder = new_nik(), new_nik(), person(CLEAN[0])
    secret_key = "kunci-idempotensi-rahasia"
    with running(tmp_path, f'{GENEROUS}\n[log]\nlevel = "debug"\nformat = "json"') as house:
        async with desk_at(house) as desk:
            await desk.ready()
            admin = await desk.set_up(house)
            operator = await admin.hire("petugas.khusus@klinik.example")
            user_id = await admin.register(nik, NAME)
            patient = await desk.sign_in_patient(nik, NAME)
            ticket = await patient.queue(user_id)
            async with desk.events(f"/events/ticket/{ticket['token']}") as own:
                await own.next()
                await operator.patch("/queue/call-next", {"counter": "1"})
                await own.next()
            refreshed = await operator.refresh()
            reused = await operator.refresh()
            read = await admin.upload(card(CLEAN[0]), wait=30)
            assert read.body["status"] == "REGISTERED", read

            # And everything that goes wrong.
            refusals = [
                await desk.post("/auth/login/admin", {"email": ADMIN[0], "password": "sandi-yang-salah"}),
                await desk.post("/auth/login/admin", {"email": "Bukan Alamat", "password": "sandi-yang-salah"}),
                await desk.post("/auth/login/user", {"nik": wrong_nik, "nama": NAME}),
                await admin.get(f"/users/check-nik/{wrong_nik}0"),
                await admin.get(f"/users?search={NAME}&nik={wrong_nik}"),
                await admin.post("/users", {"nik": nik, "nama": NAME}, headers={"Idempotency-Key": secret_key}),
                await admin.post("/users", {"nik": f"{wrong_nik}1", "nama": NAME}),
                await admin.ask("POST", "/users", data=f'{{"nik": {wrong_nik}'.encode()),
                await desk.showing(f"a.{wrong_nik}.c").get("/users/profile"),
                await desk.get(f"/{wrong_nik}/{NAME}"),
                await desk.get("/users", headers={"X-Request-Id": f"nik {wrong_nik}"}),
                await desk.get(f"/t/{ticket['token']}x"),
                await patient.get("/users"),
                reused,
            ]
            assert all(400 <= refusal.status < 500 for refusal in refusals), refusals
            metrics = (await desk.get("/metrics")).body
            for refusal in refusals:
                shown = str(refusal.body)
                assert wrong_nik not in shown, shown
                assert NAME not in shown, shown
        assert house.stop() == 0

    printed = house.log + "".join(line for line in house.stdout if "/setup#" not in line) + metrics
    assert "request" in printed
    tokens = [
        session[name]
        for session in (admin.tokens, operator.tokens, patient.tokens, refreshed.body)
        for name in ("access_token", "refresh_token")
    ]
    for secret in (
        nik, wrong_nik, holder["nik"], NAME, holder["nama"], holder["alamat"], ADMIN[0], ADMIN[1], PASSWORD,
        "petugas.khusus", "sandi-yang-salah", "Bukan Alamat", secret_key, house.setup_token, ticket["token"],
        *tokens,
        *(token.rpartition(".")[2] for token in tokens),
    ):  # fmt: skip
        assert secret not in printed, f"{secret} was printed"
    assert house.setup_token not in house.log
