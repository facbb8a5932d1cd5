"""Why a file cannot be read as a picture: one class for each reason, with the sentence shown at the front desk."""


class PictureError(Exception):
    """A file that cannot be read as a picture of a card; `str(error)` is a sentence for the front desk."""

    sentence = "Berkas ini tidak dapat dibaca."

    def __init__(self) -> None:
        super().__init__(self.sentence)


class UnsupportedImage(PictureError):
    """The content has no allowed format, whatever the file's name says."""

    sentence = "Jenis berkas ini tidak diterima. Kirim foto JPG, PNG, atau PDF."


class ImageTooLarge(PictureError):
    """The picture has more pixels than allowed, as its header says before anything is unpacked."""

    sentence = "Ukuran gambar terlalu besar. Kecilkan foto lalu kirim ulang."


class UnreadableImage(PictureError):
    """The file is empty, cut off or damaged."""

    sentence = "Berkas gambar rusak dan tidak dapat dibuka. Ambil foto baru."
