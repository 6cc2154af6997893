"""The claims 5-1 to 5-6 in words: what layers and units can do, and the folklore about it."""

from __future__ import annotations

from collections.abc import Iterator

from theory.certificates import Certificate, certificate
from theory.claims import Claim, Corrected, Statement
from theory.layers import checks, domains, figures
from theory.layers.softmax import decide
from theory.propositions import Proposition

__all__ = ["CLAIMS"]

ORDER = Claim(
    number="5-1",
    title="Self-attention ignores the order of its tokens",
    statement=Statement(
        "Self-attention, causal or not, ignores the order of its tokens: it gives the same outputs, reordered.",
    ),
    source="folklore",
    corrected=Corrected(
        "Attention with a mask M (M[i, j]: query i may attend to key j) is equivariant under a permutation p of its "
        "tokens, for all weights and tokens, if and only if M[p(i), p(j)] = M[i, j] for all i and j. Without a mask "
        "every p satisfies this; with a causal mask, only the identity does.",
        r"Attention with a mask $M$ ($M_{ij}$: query $i$ may attend to key $j$) is equivariant under a permutation "
        r"$\pi$ of its tokens, for all weights and tokens, if and only if $M_{\pi(i)\pi(j)}=M_{ij}$ for all $i$ and "
        r"$j$. Without a mask every $\pi$ satisfies this; with a causal mask, only the identity does.",
        by=("the orders that preserve the mask", "causal masks"),
    ),
    propositions=(
        Proposition(
            "causal attention",
            "causal attention gives the same outputs, reordered, in every order of the tokens (up to 4 tokens)",
            checks.ignores_order,
            domains.CAUSAL_ORDERS,
            show=lambda case: f"{case[0]} tokens in the order {case[1]}",
            false=True,
        ),
        Proposition(
            "the orders that preserve the mask",
            "a transformer encoder layer with random weights is equivariant under these permutations, and the proof's "
            "attention under no others (all masks of up to 3 tokens)",
            checks.commutes_iff_preserved,
            domains.MASKS,
            "corrected",
            show=lambda mask: str(mask.astype(int).tolist()),
        ),
        Proposition(
            "causal masks",
            "only the identity preserves a causal mask; the last output of one causal layer ignores the order of the "
            "earlier tokens, but that of two layers need not (1 to 5 tokens)",
            checks.causal_layers,
            domains.LENGTHS,
            "corrected",
        ),
    ),
    proof=r"""*If:* query $i$ of the tokens $x_{\pi(1)},\dots,x_{\pi(n)}$ attends to all $x_{\pi(j)}$ with $M_{ij}$. In
the old order, query $\pi(i)$ attends to all $x_k$ with $M_{\pi(i)k}$. With $k=\pi(j)$ these are the same tokens, and
attention does not depend on the order in which it sums over them.

*Only if:* let queries and keys be 0, and let values and outputs be one feature, in which the tokens are linearly
independent over the rationals. The outputs are means of the tokens that a row of $M$ allows, or 0 if there are none.
Those of different sets differ, so $M_{\pi(i)\pi(j)}=M_{ij}$.

*Causal:* row $i$ allows $i$ tokens, so $\pi(i)=i$.

*Depth:* the rest of an encoder layer acts on each token alone, so the layer is equivariant, too. The last query of a
causal layer attends to all tokens, and only $x_n$ is special. But two causal layers of means give
$\frac1n\sum_i\frac1i\sum_{j\le i}x_j$ as the last output, in which earlier tokens count more. So a decoder needs no
positional encodings to tell orders apart (A. Haviv et al., 2022).""",
    draw=figures.draw_masks,
)

LIPSCHITZ = Claim(
    number="5-2",
    title="Attention is Lipschitz",
    statement=Statement(
        "Dot-product self-attention is Lipschitz: for some L, distances grow at most L-fold.",
        "Dot-product self-attention is Lipschitz: for some $L$, distances grow at most $L$-fold.",
    ),
    source="folklore",
    corrected=Corrected(
        "It is not Lipschitz on all tokens. Let attention have the scores <x_i, x_j A> and the values x_j V. On n "
        "tokens of norm at most R, |V| (√n + R² |A| (1 + √n)) is a Lipschitz constant.",
        r"It is not Lipschitz on all tokens. Let attention have the scores $\langle x_i,x_jA\rangle$ and the "
        r"values $x_jV$. On $n$ tokens of norm at most $R$, $\lVert V\rVert(\sqrt n+R^2\lVert A\rVert(1+\sqrt n))$ is "
        "a Lipschitz constant.",
        by=("no constant", "tokens in a ball"),
    ),
    propositions=(
        Proposition(
            "a constant",
            "L is a Lipschitz constant for A = V = 1 (L = 1, 2, 4, …, 2^40)",
            checks.has_constant,
            domains.CONSTANTS,
            show=lambda constant: f"L = {constant}",
            latex=r"$L$ is a Lipschitz constant for $A=V=1$ ($L=1,2,4,\dots,2^{40}$).",
            false=True,
        ),
        Proposition(
            "no constant",
            "dy_0/dx_0 = L + 1/3 at the tokens (0, t, -t) with t² = 3/2 L",
            checks.exceeds_constant,
            domains.CONSTANTS,
            "corrected",
        ),
        Proposition(
            "tokens in a ball",
            "the Jacobian's norm is at most the constant (up to 6 tokens of norm R from 1/2 to 4, random A and V)",
            checks.bounded_in_ball,
            domains.BALLS,
            "corrected",
            share=0.3,
        ),
        Proposition(
            "the root of n",
            "with A = V = 1 it is at least √n n/(n + 1) at (2r, r, …, r), r² = 2 ln n (n = 1, 2, 4, …, 128)",
            checks.needs_root,
            domains.NUMBERS,
            "general",
        ),
        Proposition(
            "a box",
            "interval arithmetic in fractions bounds it in a box, and so the growth of distances (at the corners of "
            "boxes of 1 to 3 tokens, widths 0, 1/32 and 1/4)",
            checks.bounded_in_box,
            domains.BOXES,
            "general",
            share=0.4,
        ),
    ),
    proof=r"""*Not Lipschitz* (H. Kim, G. Papamakarios and A. Mnih, 2021, Theorem 3.1): let the tokens be numbers and
$A=V=1$. With the weights $p_{ij}$ and the means $m_i=\sum_j p_{ij}x_j$, $\partial y_i/\partial x_i$ is
$p_{ii}(1+x_i(x_i-m_i))+\sum_k p_{ik}(x_k-m_i)^2$. At $(x_0,x_1,x_2)=(0,t,-t)$, $x_0$ attends equally to all three, so
$\partial y_0/\partial x_0=\frac13+\frac23t^2$.

*In a ball:* a small change $h$ of $x$ changes $y_i$, to first order, by $V$ applied to

$$\sum_jp_{ij}h_j+\sum_jp_{ij}\langle h_i,x_jA\rangle(x_j-m_i)+\sum_jp_{ij}\langle x_i,h_jA\rangle(x_j-m_i).$$

Since $\sum_i p_{ij}\le n$, Jensen's inequality bounds the norm of the first sums by $\sqrt n\lVert h\rVert$. The
variance $\sum_jp_{ij}\lVert x_j-m_i\rVert^2$ is at most $R^2$. In the second sum $(x_j-m_i)A$ may replace $x_jA$, so
its norm is at most $R^2\lVert A\rVert\lVert h_i\rVert$. By Cauchy and Schwarz the squared norm of the third is at most
$R^4\lVert A\rVert^2\sum_jp_{ij}\lVert h_j\rVert^2$. A ball is convex, so this also bounds the growth of distances.

*The factor $\sqrt n$ is necessary:* at $(2r,r,\dots,r)$,
$\partial y_i/\partial x_0\ge p_{i0}\ge 1/(1+(n-1)e^{-r^2})\ge n/(n+1)$. Since $R^2=8\ln n$, any bound that is
polynomial in $R$ must contain $\sqrt n$, up to logarithms (V. Castin, P. Ablin and G. Peyré, 2024).""",
    draw=figures.draw_norms,
)

BATCH_NORM = Claim(
    number="5-3",
    title="Batch norm ignores the scale of the weights",
    statement=Statement(
        "A batch norm ignores the scale of the weights before it: BN(a W x) = BN(W x), where BN normalises over the "
        "batch.",
        r"A batch norm ignores the scale of the weights before it: $\mathrm{BN}(aWx)=\mathrm{BN}(Wx)$, where BN "
        "normalises over the batch.",
    ),
    source="S. Ioffe and C. Szegedy, Batch normalization (2015), section 3.3, which leaves out epsilon and the sign",
    corrected=Corrected(
        "For a != 0, BN(a W x) with eps is sign(a) BN(W x) with eps / a². If eps = 0 and the variances are positive, "
        "<w, dL/dw> = 0 for the weights w of a unit. So a step w⁺ = w - r dL/dw gives |w⁺|² = |w|² + r² |dL/dw|².",
        r"For $a \neq 0$, $\mathrm{BN}_\varepsilon(aWx)=\mathrm{sign}(a)\mathrm{BN}_{\varepsilon/a^2}(Wx)$. If "
        r"$\varepsilon=0$ and the variances are positive, the weights $w$ of a unit have $\langle w,\nabla_w L"
        r"\rangle=0$. So a step of gradient descent $w^+=w-\eta\nabla_wL$ gives "
        r"$\lVert w^+\rVert^2=\lVert w\rVert^2+\eta^2\lVert\nabla_w L\rVert^2$.",
        by=("a factor acts on epsilon", "the gradient"),
    ),
    propositions=(
        Proposition(
            "any sign",
            "with epsilon = 0, multiplying the weights by a does not change the batch norm (a = 1, 2, 1/2, -1, -2)",
            checks.ignores_factor,
            domains.FACTORS,
            show=lambda case: f"a = {case[1]:g}",
            latex=r"With $\varepsilon=0$, multiplying the weights by $a$ does not change the batch norm "
            r"($a=1,2,\frac12,-1,-2$).",
            false=True,
        ),
        Proposition(
            "any epsilon",
            "multiplying the weights by a > 0 does not change the batch norm (epsilon = 0, 1e-5; a = 1, 2, 1/2)",
            checks.ignores_factor,
            domains.EPSILONS,
            show=lambda case: f"epsilon = {case[0]:g}, a = {case[1]:g}",
            latex=r"Multiplying the weights by $a>0$ does not change the batch norm ($\varepsilon=0,10^{-5}$; "
            r"$a=1,2,\frac12$).",
            false=True,
        ),
        Proposition(
            "a factor acts on epsilon",
            "BN(a W x) with epsilon is sign(a) BN(W x) with epsilon / a² (random batches, 1/8 <= |a| <= 8)",
            checks.scales_epsilon,
            domains.SCALED,
            "corrected",
        ),
        Proposition(
            "the gradient",
            "<w, dL/dw> = epsilon / (variance + epsilon) c dL/dc, with the weight c of the batch norm; for epsilon = 0 "
            "the gradient at a w, a > 0, is dL/dw / a, and a step of SGD gives |w⁺|² = |w|² + rate² |dL/dw|² (random "
            "networks, rates to 8)",
            checks.orthogonal_gradient,
            domains.SCALED,
            "corrected",
        ),
    ),
    proof=r"""Let $z$ be a unit's values of $Wx$ over the batch, with mean $\mu$, variance $v$ and
$v+\varepsilon>0$. Those of $aWx$ have $a\mu$ and $a^2v$, so their batch norm is

$$\frac{a(z-\mu)}{\sqrt{a^2v+\varepsilon}}=\mathrm{sign}(a)\frac{z-\mu}{\sqrt{v+\varepsilon/a^2}}.$$

For $v>0$, the derivative by $a$ at $a=1$ is $\frac{\varepsilon}{v+\varepsilon}\hat z$ with the normalised $\hat z$.
The layer returns $c\hat z+b$, so
$\langle w,\nabla_wL\rangle=\frac{\varepsilon}{v+\varepsilon}c\,\partial L/\partial c$. For $\varepsilon=0$
this is 0, and Pythagoras gives the norm after a step: gradient descent never shrinks $w$. As then $L(aw)=L(w)$ for
$a>0$, the gradient at $aw$ is $\nabla_wL/a$, so a growing $w$ lowers the effective rate (S. Arora, Z. Li and K. Lyu,
2019).""",
    draw=figures.draw_batch_norm,
)


def certify() -> Iterator[Certificate]:
    """Certify for each word of two small vocabularies, one without biases, a state where it wins, or that none does."""
    corners = [([1, 1], 0), ([1, -2], 0), ([-2, 1], 0)]
    for words in ([*corners, ([0, 0], 0)], [*corners, ([0, 0], -1), ([0, 0], 1)]):
        for word in range(len(words)):
            state, multipliers = decide(words, word)
            if state is None:
                yield certificate("never_largest", words=words, word=word, multipliers=multipliers)
            else:
                yield certificate("largest_score", words=words, word=word, state=state)


SOFTMAX = Claim(
    number="5-4",
    title="Softmax can predict every word",
    statement=Statement(
        "A softmax layer can predict every word: at some state the word is more probable than every other.",
    ),
    source="folklore",
    corrected=Corrected(
        "If states take all directions and there are no biases, softmax can predict the word w if and only if its "
        "embedding E_w is not a convex combination of the others. For states in the box (-1, 1)^d and biases b: if and "
        "only if no m_v >= 0 with the sum 1 for the other words have |E_w - sum m_v E_v|_1 <= sum m_v b_v - b_w.",
        "If states take all directions and there are no biases, softmax can predict the word $w$ if and only if its "
        "embedding $E_w$ is not a convex combination of the others. For states in the box $(-1,1)^d$ and biases $b$: "
        r"if and only if no $m_v \ge 0$ with the sum 1 for the other words have "
        r"$\lVert E_w-\sum_v m_vE_v\rVert_1 \le \sum_v m_vb_v-b_w$.",
        by=("a state or multipliers",),
    ),
    propositions=(
        Proposition(
            "every word",
            "each word is the most probable at some state (different embeddings of one number, no biases)",
            checks.every_word_wins,
            domains.EMBEDDINGS,
            show=lambda embeddings: f"the embeddings {', '.join(map(str, embeddings))}",
            false=True,
        ),
        Proposition(
            "a state or multipliers",
            "elimination in fractions finds a state or multipliers m, and certifies them; minigrad's softmax agrees at "
            "the state, or at 20 random ones (up to 5 words of one or two integers, with biases)",
            checks.wins_or_never,
            domains.WORDS,
            "corrected",
        ),
        Proposition(
            "the captioner",
            "each of the 2,917 words of the captioner trained on Flickr8k wins at a state in the box, by exact "
            "scores (in blocks of 100)",
            checks.captioner_words_win,
            domains.BLOCKS,
            "general",
        ),
        Proposition(
            "wrong certificates",
            "the checks reject wrong states, multipliers, scores and ranges",
            checks.is_rejected,
            domains.SPOILT,
            "general",
            show=lambda case: case[0],
        ),
    ),
    proof=r"""Let $s_v(u)=\langle E_v,u\rangle+b_v$, and let $g$ be the smallest $s_w-s_v$, $v \neq w$. For multipliers
$m_v\ge0$ with the sum 1 the largest $s_w-\sum_vm_vs_v$ in the closed box is
$\lVert E_w-\sum_vm_vE_v\rVert_1+b_w-\sum_vm_vb_v$, at a corner. If it is at most 0 for some $m$, no state has $g>0$.
Otherwise its minimum over $m$ is positive. By the minimax theorem (J. von Neumann, 1928) this is the largest $g$ in
the closed box, and close to that state is one in the open box with $g>0$. Without biases $g(tu)=tg(u)$ for $t>0$, so
a box around 0 decides for all states, and the condition says $E_w=\sum_vm_vE_v$ (D. Demeter, G. Kimmel and
D. Downey, 2020; A. Grivas, N. Bogoychev and A. Lopez, 2022).

*The captioner* scores words at $2\tanh(\dots)$, 256 numbers. Each word wins near the corner with the signs of its
embedding minus the mean embedding, so this layer can predict all of them. Which states photos lead to is another
question.""",
    draw=figures.draw_words,
    certify=certify,
)

RELU = Claim(
    number="5-5",
    title="ReLU halves the variance",
    statement=Statement(
        "ReLU halves the variance of a random z that is symmetric about 0: Var relu(z) = Var(z) / 2.",
        r"ReLU halves the variance of a random $z$ that is symmetric about 0: $\mathrm{Var}\,\mathrm{relu}(z)=\frac12"
        r"\mathrm{Var}\,z$.",
    ),
    source="folklore about the initialisation of ReLU networks",
    corrected=Corrected(
        "If E z² is finite, ReLU halves the mean square: E relu(z)² = E z²/2. Var relu(z) = Var(z)/2 - (E|z|)²/4.",
        r"If $E z^2$ is finite, ReLU halves the mean square: $E\,\mathrm{relu}(z)^2=\frac12E z^2$. The variance "
        r"becomes $\frac12\mathrm{Var}\,z-\frac14(E|z|)^2$, which is less than half unless $z=0$; for a normal $z$ it "
        r"is $(\frac12-\frac1{2\pi})\mathrm{Var}\,z \approx 0.34\,\mathrm{Var}\,z$.",
        by=("the mean square", "a normal z"),
    ),
    propositions=(
        Proposition(
            "the variance",
            "Var relu(z) = Var(z) / 2 for z = ±v_1, …, ±v_k, all equally probable (k to 3, v from 0 to 5)",
            checks.halves_variance,
            domains.HALVES,
            show=lambda values: "z = " + ", ".join(f"±{v}" for v in values),
            latex=r"$\mathrm{Var}\,\mathrm{relu}(z)=\frac12\mathrm{Var}\,z$ for $z=\pm v_1,\dots,\pm v_k$, all equally "
            r"probable ($k$ to 3, $v$ from 0 to 5).",
            false=True,
        ),
        Proposition(
            "the mean square",
            "E relu(z)² = E z²/2 and Var relu(z) = Var(z)/2 - (E|z|)²/4 (the same z)",
            checks.halves_mean_square,
            domains.HALVES,
            "corrected",
        ),
        Proposition(
            "a normal z",
            "for a standard normal z the mean square is 1/2 and the variance 1/2 - 1/(2 pi) (by the midpoint rule)",
            checks.normal_variance,
            domains.STEPS,
            "corrected",
        ),
        Proposition(
            "a layer",
            "the mean of relu(<w, x>)² over all w with entries ±1 is |x|²/2, exactly (x of 1 to 4 entries, -1 to 2)",
            checks.signs_keep_the_square,
            domains.INPUTS,
            "general",
        ),
    ),
    proof=r"""$\mathrm{relu}(z)^2+\mathrm{relu}(-z)^2=z^2$ and $\mathrm{relu}(z)+\mathrm{relu}(-z)=|z|$. If $z$ and $-z$
have the same distribution and $E z^2$ is finite, both terms have the same mean. So $E\,\mathrm{relu}(z)^2=\frac12E z^2$
and $E\,\mathrm{relu}(z)=\frac12E|z|$, which gives the variance. A normal $z$ has $E|z|=\sigma\sqrt{2/\pi}$.

*Initialisation* (K. He et al., 2015, section 2.2) needs the mean square only. Let a layer of $n$ inputs $x$ have
independent weights $w$, symmetric about 0, with the variance $2/n$, and no biases. For a given $x$,
$\langle w,x\rangle$ is symmetric with the mean square $\frac2n\lVert x\rVert^2$. After ReLU it is
$\frac1n\lVert x\rVert^2$ for each unit. So the expected mean square of the units is that of the inputs, whatever
their distribution, from layer to layer.""",
    draw=figures.draw_relu,
)

SYMMETRY = Claim(
    number="5-6",
    title="Training breaks symmetry only with noise",
    statement=Statement(
        "Gradient descent separates hidden units that start equal. Units with equal incoming weights separate only "
        "with noise.",
    ),
    source="folklore",
    corrected=Corrected(
        "Twins, units with equal incoming weights, biases and outgoing weights, stay equal without dropout, under "
        "every optimiser that treats all weights alike. With one output, let only the outgoing weights of two units "
        "differ. Then a step of SGD, without noise, makes their incoming weights or biases differ, unless the "
        "gradients of these are 0.",
        by=("twins stay equal", "outgoing weights"),
    ),
    propositions=(
        Proposition(
            "they part",
            "twins differ after ten steps on random batches (every optimiser of `mg.optim`)",
            checks.descent_separates,
            domains.METHODS,
            show=str,
            false=True,
        ),
        Proposition(
            "it takes noise",
            "two units of equal incoming weights, and outgoing ones from 0 to 3, keep equal incoming weights",
            checks.stays_equal_without_noise,
            domains.OUTGOING,
            show=lambda outgoing: f"the outgoing weights {outgoing[0]} and {outgoing[1]}",
            false=True,
        ),
        Proposition(
            "twins stay equal",
            "twins stay equal to the last bit for ten steps, under every optimiser of `mg.optim` (random networks with "
            "four hidden units)",
            checks.twins_stay_equal,
            domains.TWINS,
            "corrected",
            share=0.6,
        ),
        Proposition(
            "outgoing weights",
            "incoming weights change in proportion to outgoing ones, and differ if these do (the same units)",
            checks.outgoing_weights_separate,
            domains.OUTGOING,
            "corrected",
        ),
        Proposition(
            "XOR",
            "four tanh units that start equal keep a mean squared error of at least 1/6 on XOR; with the outgoing "
            "weights 1/2, -1/2, 1, -1 it falls below 1/8 (100 steps, every optimiser)",
            checks.only_others_fit,
            domains.METHODS,
            "general",
        ),
    ),
    proof=r"""Let $\sigma$ exchange two units. Without dropout $L(\sigma\theta)=L(\theta)$, so the gradient satisfies
$\nabla L(\sigma\theta)=\sigma\nabla L(\theta)$. For twins $\sigma\theta=\theta$, so the gradient is symmetric, too. The
optimisers of `mg.optim` update all weights by one formula (LBFGS with inner products, which $\sigma$ preserves). So by
induction twins stay twins, also on random batches. In floating point the matrix product must round equal columns alike.
The checks use four units: with an odd number, OpenBLAS's Nehalem kernel does not.

*Outgoing weights:* with one output, the gradient of the incoming weights is the outgoing weight times a common
vector.

*XOR:* twins compute $v\varphi(\langle w,x\rangle+b)+c$, monotone in $\langle w,x\rangle$ if $\varphi$ is. Of $0$,
$w_1$, $w_2$ and $w_1+w_2$, either the first and last are the extremes, or the other two. So in the order of
$\langle w,x\rangle$ the targets are 0, 1, 1, 0 or 1, 0, 0, 1. The best monotone fit, such as
$0,\frac23,\frac23,\frac23$, has the mean squared error $\frac16$.""",
    draw=figures.draw_symmetry,
)

CLAIMS = (ORDER, LIPSCHITZ, BATCH_NORM, SOFTMAX, RELU, SYMMETRY)
