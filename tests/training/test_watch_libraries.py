"""Lightning and the Trainer of transformers are seen, and train as without."""

from __future__ import annotations

import pytest

import dysonsim as ds

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore")


def same(one, other):
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("part", ["the model", "its network"])
def test_lightning(part, tmp_path):
    lightning = pytest.importorskip("lightning")

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))

        def training_step(self, batch, _):
            return (self.body(batch[0]) - batch[1]).square().mean()

        def validation_step(self, batch, _):
            self.body(batch[0])

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

    def fit(model):
        lightning.seed_everything(1, verbose=False)
        x = torch.randn(32, 11)
        batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[:, :8], x[:, 8:]), 5, shuffle=True)
        options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu",
                   "enable_model_summary": False, "default_root_dir": tmp_path}  # fmt: skip
        lightning.Trainer(max_epochs=2, accumulate_grad_batches=2, **options).fit(model, batches, batches)

    alone, model = Model(), Model()
    fit(alone)
    with ds.watch(model if part == "the model" else model.body, every=1) as rec:
        fit(model)
    assert same(model, alone)
    layer = rec[rec.layers[0]]
    assert layer.steps.tolist() == list(range(9))
    assert layer.batch_size.tolist() == [10, 10, 10, 10, 2, 10, 10, 10, 2]  # of 32 samples, twice
    assert layer.learning_rate.tolist() == [0.1] * 5 + [0.05] * 4
    assert rec.optimizer["momentum"] == 0.9


def test_the_trainer_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    tokens = torch.randint(20, (30, 16), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": x, "labels": x} for x in tokens]

    def trained(watched):
        torch.manual_seed(0)
        config = transformers.GPT2Config(vocab_size=20, n_positions=16, n_embd=16, n_layer=1, n_head=2)
        model = transformers.GPT2LMHeadModel(config)
        how = transformers.TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=3, gradient_accumulation_steps=2, max_steps=6,
            use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True, eval_strategy="steps", eval_steps=2,
        )  # fmt: skip
        trainer = transformers.Trainer(model, how, train_dataset=data, eval_dataset=data)
        if not watched:
            trainer.train()
            return model, None
        with ds.watch(model, every=2) as rec:
            trainer.train()
        return model, rec

    (alone, _), (model, rec) = trained(False), trained(True)
    assert same(model, alone)
    assert rec.steps.tolist() == [0, 2, 4, 6]
    assert rec.optimizer["name"] == "AdamW"
    layer = rec["transformer.h.0.mlp.c_fc"]
    assert layer.batch_size.tolist() == [6] * 4
    assert (layer.learning_rate[1:-1] > layer.learning_rate[2:]).all()  # it decays
